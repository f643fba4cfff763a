"""Signing in by what a login has proven: whose account it is, what it is raised to, what is joined into it.

Every way of login ends here. Who may be whom is decided in `rules/accounts.py`, docs/adr/0026 tells why.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from uuid import UUID

import asyncpg

from backend.auth.identity import Identity
from backend.context import Context
from backend.db import identities as db
from backend.db import residents
from backend.db.joins import take_over, take_over_ideas
from backend.db.pool import Connection, transaction
from backend.errors import Unauthenticated, Unavailable
from backend.jobs.join_again import repeat_join
from backend.resolvers.sessions import made_up_name, session_payload, start
from backend.rules.accounts import Decision, decide
from backend.schema.sessions import SessionPayload

Strength: TypeAlias = Literal["EMAIL", "STRONG"]

TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class _SignedIn:
    """`changed`: votes are of another strength or account than before."""

    id: UUID
    strength: str
    joined_ids: tuple[UUID, ...] = ()
    changed: bool = False


class _Moved(Exception):
    """Another login has just changed whose something is. From the start again: then it is found."""


# Also a lock that wasn't had within a second: somebody who signs in on all their devices at once is let in.
_TRY_AGAIN: Final = (
    _Moved,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)


async def sign_in(
    context: Context,
    *,
    identities: Sequence[Identity],
    strength: Strength,
    method: str,
    locale: str,
    display_name: str | None = None,
    device_name: str | None = None,
    then: Callable[[Connection, UUID], Awaitable[None]] | None = None,
) -> SessionPayload:
    """A session of the person who holds `identities`, all of them proven just now by one login, at least one.

    With a token in the request its account is raised, or joined with the one the identities belong to; else the
    account of the identities, or a new one. `then` is given the account's id before its roles are read, in the same
    transaction, and again where that is tried again: it may grant roles, or use up what the login was proven by, and
    whatever it raises takes everything back. `display_name` is for an account that is new, or comes back after
    erasure; `method` is a `session_method` of the database.

    Raises what `then` raises, and Unavailable.
    """
    for _ in range(TRIES):
        try:
            async with transaction(context.pool) as conn:
                name = display_name or made_up_name(locale)
                account = await _account(
                    context, conn, identities=identities, strength=strength, name=name, locale=locale
                )
                if then:
                    await then(conn, account.id)
                row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=account.id)
                if row is None:
                    raise Unauthenticated
                started = await start(context, conn, resident_id=account.id, method=method, device_name=device_name)
                if account.changed:
                    await take_over_ideas(
                        conn,
                        municipality_id=context.municipality_id,
                        joined_ids=account.joined_ids,
                        survivor_id=account.id,
                        strength=account.strength,
                    )
        except _TRY_AGAIN:
            continue
        if account.joined_ids:
            # Without waiting: a socket of the joined account must get this answer before it is closed.
            await context.services.revocations.announce(context.municipality_id, wait=False)
        return session_payload(context, row, started)
    raise Unavailable


async def _account(
    context: Context, conn: Connection, *, identities: Sequence[Identity], strength: Strength, name: str, locale: str
) -> _SignedIn:
    """The account that is signed in to, with everything proven by it now, votes and ideas apart. Raises _Moved."""
    municipality_id = context.municipality_id
    owners = await db.accounts_of(conn, municipality_id=municipality_id, identities=identities)
    caller_id = await caller_account(context, conn)
    held = await db.hold_accounts(
        conn, municipality_id=municipality_id, ids={*owners.values(), *([caller_id] if caller_id else [])}
    )
    if any(account.joined_into_id for account in held.values()):
        raise _Moved
    if any(account.being_erased for account in held.values()):
        raise Unavailable("The account is just being erased. Try again in a minute.")
    decision = decide(
        [held[id] for id in set(owners.values())],
        caller=held[caller_id] if caller_id and not held[caller_id].erased else None,
        persons=frozenset(each.subject_hash for each in identities if each.kind == "PERSON"),
        strength=strength,
    )
    account = await _new_or_known(
        conn, decision, municipality_id=municipality_id, strength=strength, name=name, locale=locale
    )
    mine = {account.id, *account.joined_ids}
    foreign = sum(owner not in mine for owner in owners.values())
    added = await db.add_identities(
        conn, municipality_id=municipality_id, resident_id=account.id, identities=identities
    )
    if added != len(identities) - foreign:
        raise _Moved
    return account


async def caller_account(context: Context, conn: Connection) -> UUID | None:
    """The account of the request's token: a token that has not yet been called back may be of a joined one."""
    if context.viewer.resident_id is None:
        return None
    return await db.final_account(conn, municipality_id=context.municipality_id, id=context.viewer.resident_id)


async def _new_or_known(
    conn: Connection, decision: Decision, *, municipality_id: UUID, strength: Strength, name: str, locale: str
) -> _SignedIn:
    """A new account; or the one that stays, which takes over the joined ones, and is as strong as all of them have
    proven."""
    survivor, reached = decision.survivor, decision.strength(strength)
    if survivor is None:
        made = await residents.register_resident(
            conn, municipality_id=municipality_id, display_name=name, locale=locale, strength=strength
        )
        return _SignedIn(made, strength)
    if survivor.erased:
        await db.revive_resident(
            conn, municipality_id=municipality_id, id=survivor.id, display_name=name, locale=locale
        )
    raised = await db.raise_resident(conn, municipality_id=municipality_id, id=survivor.id, strength=reached)
    joined_ids = tuple(each.id for each in decision.joined)
    if joined_ids:
        await take_over(conn, municipality_id=municipality_id, joined_ids=joined_ids, survivor_id=survivor.id)
    for joined_id in joined_ids:
        await repeat_join(conn, municipality_id=municipality_id, joined_id=joined_id)
    return _SignedIn(survivor.id, reached, joined_ids, changed=raised or bool(joined_ids))
