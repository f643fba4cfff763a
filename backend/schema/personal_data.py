"""What people may ask for of what is held on them."""

from datetime import datetime
from functools import partial
from uuid import UUID

import strawberry

from backend.auth.export_secret import export_secret
from backend.context import Info
from backend.db.data_exports import DataExportRow
from backend.fields import field, from_row
from backend.schema.enums import DataExportStatus
from backend.schema.errors import ERRORS, UserError
from backend.schema.nodes import node_id


@strawberry.type(description="A copy of everything held on the caller, as one document of JSON.")
class DataExport:
    row: strawberry.Private[DataExportRow]
    municipality_id: strawberry.Private[UUID]
    id: strawberry.ID = from_row("Of this copy.", partial(node_id, "DataExport"))
    status: DataExportStatus = from_row("Whether it can be downloaded.", DataExportStatus)
    requested_at: datetime = from_row("When it was asked for.")
    ready_at: datetime | None = from_row("When it was made; null while it is being made.")
    expires_at: datetime | None = from_row("Until when it can be downloaded; null while it is being made.")

    @field(
        "Where to GET it from, once, with the caller's `Authorization`; null while PENDING and once EXPIRED. "
        "Keep it to yourself."
    )
    def download_path(self, info: Info) -> str | None:
        if self.row.status != DataExportStatus.READY:
            return None
        key = info.context.services.settings.secret_key.get_secret_value().encode()
        return f"/personal-data/{export_secret(key, municipality_id=self.municipality_id, export_id=self.row.id)}"


@strawberry.input(description="A copy of everything held on the caller.")
class RequestDataExportInput:
    idempotency_key: str = strawberry.field(description="A UUID made once: repeating gives the same copy.")


@strawberry.type(description="The copy to come, or why there will be none.")
class RequestDataExportPayload:
    export: DataExport | None = strawberry.field(default=None, description="The copy; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="That the caller wants to be forgotten, for good.")
class EraseAccountInput:
    display_name: str = strawberry.field(
        description="The caller's name as it is shown, typed by the person: so that nobody is forgotten by a slip."
    )


@strawberry.type(description="That the caller will be forgotten, or why not.")
class EraseAccountPayload:
    erased_by: datetime | None = strawberry.field(
        default=None, description="When all of it will be gone; all sessions have ended now. Null where refused."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)
