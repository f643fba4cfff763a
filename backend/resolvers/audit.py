"""Reading the audit log."""

from backend.context import Info
from backend.db import audit
from backend.db.pool import acquire
from backend.schema.audit import AuditEntryConnection, audit_entry_connection
from backend.schema.pages import After, First, page_request

_LIST = "auditEntries"


async def audit_entries(info: Info, first: First = None, after: After = None) -> AuditEntryConnection | None:
    context, request = info.context, page_request(info, _LIST, first=first, after=after)
    async with acquire(context.pool) as conn:
        page = await audit.entry_page(conn, municipality_id=context.municipality_id, request=request)
        subjects = {row.subject_id for row in page.rows if row.subject_id}
        types = await audit.subject_types(conn, municipality_id=context.municipality_id, ids=subjects)
    return audit_entry_connection(page, types, _LIST)
