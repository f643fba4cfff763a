"""Sessions of devices."""

from datetime import datetime

import strawberry

from backend.schema.errors import ERRORS, UserError
from backend.schema.scalars import Locale
from backend.schema.viewer import Viewer

DEVICE_NAME = "What the person knows this device by in the list of sessions, up to 60 characters."


@strawberry.input(description="A new anonymous account.")
class RegisterDeviceInput:
    locale: Locale = strawberry.field(description="The language the person reads.")
    display_name: str | None = strawberry.field(
        default=None, description="The name shown in public, up to 60 characters; one is made where left out."
    )
    device_name: str | None = strawberry.field(default=None, description=DEVICE_NAME)
    idempotency_key: str = strawberry.field(
        description="A UUID made once for this registration: repeating gives the same account and new tokens, "
        "until a session of the account has been ended."
    )


@strawberry.input(description="A session to go on with.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The newest one received.")


@strawberry.type(description="Tokens of a session.")
class SessionPayload:
    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …`; nowhere else."
    )
    access_token_expires_at: datetime | None = strawberry.field(default=None, description="Refresh before then.")
    refresh_token: str | None = strawberry.field(
        default=None, description="Good for one refresh; the previous one stays good until this one is used."
    )
    refresh_token_expires_at: datetime | None = strawberry.field(
        default=None, description="Until then it can be used; every refresh moves it."
    )
    viewer: Viewer | None = strawberry.field(default=None, description="Whose session it is.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)
