"""STAND-IN of branch `oidc` until `identity` lands: finds or makes an account; joins nothing."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from backend.auth.identity import Identity
from backend.context import Context
from backend.db import residents, stand_in
from backend.db.pool import Connection, transaction
from backend.errors import Unauthenticated
from backend.resolvers.sessions import session_payload, start
from backend.schema.sessions import SessionPayload


async def sign_in(
    context: Context,
    *,
    identities: Sequence[Identity],
    strength: str,
    method: str,
    display_name: str | None = None,
    locale: str,
    settle: Callable[[Connection, UUID], Awaitable[None]] | None = None,
) -> SessionPayload:
    """`settle` is done in the transaction, once it is known whose account it is and before its session begins."""
    pairs = [(each.kind, each.subject_hash) for each in identities]
    async with transaction(context.pool) as conn:
        id = await stand_in.resident_of(conn, municipality_id=context.municipality_id, identities=pairs)
        id = id or context.viewer.resident_id
        if id is None:
            id = await residents.register_resident(
                conn,
                municipality_id=context.municipality_id,
                display_name=display_name or "Asukas",
                locale=locale,
                strength=strength,
            )
        await stand_in.prove(
            conn, municipality_id=context.municipality_id, resident_id=id, identities=pairs, strength=strength
        )
        if settle:
            await settle(conn, id)
        started = await start(context, conn, resident_id=id, method=method)
        row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=id)
    if row is None:
        raise Unauthenticated
    return session_payload(context, row, started)
