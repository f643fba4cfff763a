"""Signing in by e-mail."""

from datetime import datetime

import strawberry

from backend.schema.errors import ERRORS, UserError
from backend.schema.scalars import Locale
from backend.schema.sessions import DEVICE_NAME


@strawberry.input(description="An address to send a sign-in code to.")
class RequestEmailCodeInput:
    email: str = strawberry.field(description="The person's own address.")
    locale: Locale = strawberry.field(description="The language of the mail, and of the account where it is new.")


@strawberry.type(description="A code is on its way. The answer is the same whether or not the address is known.")
class RequestEmailCodePayload:
    challenge_id: str | None = strawberry.field(
        default=None, description="Send it along with the code. It ends that of an earlier request for the address."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="Until when the code can be used, once.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="A code that was mailed.")
class ConfirmEmailCodeInput:
    challenge_id: str = strawberry.field(description="As `requestEmailCode` gave it.")
    code: str = strawberry.field(description="The six digits of the mail; at most five tries.")
    device_name: str | None = strawberry.field(default=None, description=DEVICE_NAME)


@strawberry.input(description="A link that was mailed.")
class ConfirmEmailLinkInput:
    secret: str = strawberry.field(description="What follows `#signIn=` in the link.")
    device_name: str | None = strawberry.field(default=None, description=DEVICE_NAME)
