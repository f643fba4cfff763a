"""What a person can mend, as data."""

import strawberry

from backend.schema.enums import UserErrorCode

ERRORS = "Why it was not done; empty when it was. Nothing is half-done."


@strawberry.type(description="Something the person can mend. Nothing was changed.")
class UserError:
    code: UserErrorCode = strawberry.field(description="What is wrong, for programs.")
    message: str = strawberry.field(description="What is wrong and what to do, in the caller's language.")
    field: list[str] | None = strawberry.field(
        description='Path into the variables, e.g. `["input", "ideaId"]`; null where it is about no single field.'
    )
