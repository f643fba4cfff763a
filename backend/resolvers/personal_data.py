"""A copy of everything held on the caller, and being forgotten."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from backend.auth.export_secret import export_secret
from backend.auth.secrets import hash_secret
from backend.context import Info
from backend.db import data_exports, residents
from backend.db.pool import acquire, transaction
from backend.errors import Refusal, Unauthenticated
from backend.jobs.erase import ask_erasure
from backend.jobs.export_data import ask_export
from backend.resolvers.once import once
from backend.rules.text import required_text
from backend.schema.personal_data import (
    DataExport,
    EraseAccountInput,
    EraseAccountPayload,
    RequestDataExportInput,
    RequestDataExportPayload,
)

NAME_LIMIT: Final = 60
ERASED_WITHIN: Final = timedelta(minutes=1)


async def request_data_export(info: Info, input: RequestDataExportInput) -> RequestDataExportPayload:
    context = info.context
    key = context.services.settings.secret_key.get_secret_value().encode()

    async def make() -> UUID:
        if await data_exports.requested_lately(conn, **context.own):
            raise Refusal("LIMIT_REACHED", reason="data_exports_per_day")
        id = await data_exports.new_export_id(conn)
        secret = export_secret(key, municipality_id=context.municipality_id, export_id=id)
        await data_exports.request_export(conn, **context.own, id=id, secret_hash=hash_secret(secret))
        await ask_export(conn, municipality_id=context.municipality_id, export_id=id)
        return id

    async with transaction(context.pool) as conn:
        id = await once(context, conn, operation="requestDataExport", key=input.idempotency_key, input={}, make=make)
    async with acquire(context.pool) as conn:
        rows = await data_exports.exports_of(conn, **context.own, limit=data_exports.MOST_KEPT)
    made = [DataExport(row=row, municipality_id=context.municipality_id) for row in rows if row.id == id]
    return RequestDataExportPayload(export=made[0] if made else None)


async def erase_account(info: Info, input: EraseAccountInput) -> EraseAccountPayload:
    context = info.context
    name = required_text(input.display_name, field="displayName", limit=NAME_LIMIT)
    async with transaction(context.pool) as conn:
        row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=context.viewer.id)
        if row is None:
            raise Unauthenticated
        if row.display_name.casefold() != name.casefold():
            raise Refusal("INVALID", "displayName", reason="name_not_yours")
        asked_at = await ask_erasure(conn, **context.own)
    if asked_at is None:
        raise Unauthenticated
    await context.services.revocations.announce(context.municipality_id, wait=False)
    return EraseAccountPayload(erased_by=asked_at + ERASED_WITHIN)
