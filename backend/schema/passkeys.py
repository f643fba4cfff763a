"""Passkeys of staff."""

from datetime import datetime

import strawberry

from backend.db.passkeys import PasskeyRow
from backend.schema.errors import ERRORS, UserError
from backend.schema.nodes import node_id

ORIGIN = "Of the page that asks, as `location.origin` has it."
CHALLENGE = "As `begin` gave it; good for one try within five minutes."
CREDENTIAL = "What the browser made, as JSON (`PublicKeyCredential.toJSON()`)."


@strawberry.type(description="A passkey by which somebody of the staff signs in.")
class Passkey:
    id: strawberry.ID = strawberry.field(description="For taking it away.")
    name: str = strawberry.field(description="What its owner knows it by.")
    created_at: datetime = strawberry.field(description="Since when it is good.")
    last_used_at: datetime | None = strawberry.field(description="When somebody last signed in with it.")


@strawberry.type(description="What a browser is to be asked for.")
class PasskeyOptionsPayload:
    challenge_id: strawberry.ID | None = strawberry.field(default=None, description="To be sent back with the answer.")
    options: str | None = strawberry.field(
        default=None,
        description="JSON for `PublicKeyCredential.parseCreationOptionsFromJSON`, or `…RequestOptionsFromJSON`.",
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.type(description="The passkey that was added or removed, or why not.")
class PasskeyPayload:
    passkey: Passkey | None = strawberry.field(default=None, description="Which; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="The caller wants a new passkey.")
class BeginPasskeyRegistrationInput:
    origin: str = strawberry.field(description=ORIGIN)


@strawberry.input(description="A new passkey of the caller's.")
class FinishPasskeyRegistrationInput:
    challenge_id: strawberry.ID = strawberry.field(description=CHALLENGE)
    credential: str = strawberry.field(description=CREDENTIAL)
    name: str = strawberry.field(description="What its owner shall know it by: 1 to 60 characters.")


@strawberry.input(description="Somebody wants to sign in; who, only the passkey tells.")
class BeginPasskeyLoginInput:
    origin: str = strawberry.field(description=ORIGIN)


@strawberry.input(description="Somebody signs in with a passkey.")
class FinishPasskeyLoginInput:
    challenge_id: strawberry.ID = strawberry.field(description=CHALLENGE)
    credential: str = strawberry.field(description=CREDENTIAL)
    device_name: str | None = strawberry.field(
        default=None, description="What the owner knows the device by: up to 60 characters."
    )


@strawberry.input(description="A passkey that shall open nothing any more.")
class RemovePasskeyInput:
    passkey_id: strawberry.ID = strawberry.field(description="One of the caller's own.")


def passkey(row: PasskeyRow) -> Passkey:
    return Passkey(
        id=node_id("Passkey", row.id), name=row.name, created_at=row.created_at, last_used_at=row.last_used_at
    )
