"""Signing in by what a login has proven: whose account it is, what it is raised to, what is joined into it.

Every way of login ends here. Who may be whom is decided in `rules/accounts.py`, docs/adr/0026 tells why.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeAlias
from uuid import UUID

import asyncpg

from backend.auth.identity import Identity
from backend.context import Context
from backend.db import identities as db
from backend.db import residents
from backend.db.joins import join
from backend.db.pool import Connection, transaction
from backend.db.votes import settle_votes
from backend.errors import Unauthenticated, Unavailable
from backend.jobs.join_again import repeat_join
from backend.resolvers.sessions import made_up_name, session_payload, start
from backend.rules.accounts import Decision, decide
from backend.schema.sessions import SessionPayload

Strength: TypeAlias = Literal["EMAIL", "STRONG"]

TRIES: Final = 5


class _Moved(Exception):
    """Another login has just changed whose something is. From the start again: then it is found."""


_TRY_AGAIN: Final = (_Moved, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


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
                account_id, joined = await _account(
                    context, conn, identities=identities, strength=strength, name=name, locale=locale
                )
                if then:
                    await then(conn, account_id)
                row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=account_id)
                if row is None:
                    raise Unauthenticated
                started = await start(context, conn, resident_id=account_id, method=method, device_name=device_name)
        except _TRY_AGAIN:
            continue
        if joined:  # without waiting: a socket of the joined account must get this answer before it is closed
            await context.services.revocations.announce(context.municipality_id, wait=False)
        return session_payload(context, row, started)
    raise Unavailable


async def _account(
    context: Context, conn: Connection, *, identities: Sequence[Identity], strength: Strength, name: str, locale: str
) -> tuple[UUID, bool]:
    """The account that is signed in to, with everything proven by it now; whether others were joined into it. Raises
    _Moved."""
    municipality_id = context.municipality_id
    owners = await db.accounts_of(conn, municipality_id=municipality_id, identities=identities)
    caller_id = await caller_account(context, conn)
    held = await db.hold_accounts(
        conn, municipality_id=municipality_id, ids={*owners.values(), *([caller_id] if caller_id else [])}
    )
    if any(account.joined_into_id for account in held.values()):
        raise _Moved
    decision = decide(
        [held[id] for id in set(owners.values())],
        caller=held[caller_id] if caller_id and not held[caller_id].erased else None,
        persons=frozenset(each.subject_hash for each in identities if each.kind == "PERSON"),
        strength=strength,
    )
    if decision.survivor is None:
        account_id = await residents.register_resident(
            conn, municipality_id=municipality_id, display_name=name, locale=locale, strength=strength
        )
    else:
        account_id = decision.survivor.id
        await _go_on(conn, decision, municipality_id=municipality_id, strength=strength, name=name, locale=locale)
    mine = {account_id, *(each.id for each in decision.joined)}
    foreign = sum(owner not in mine for owner in owners.values())
    added = await db.add_identities(
        conn, municipality_id=municipality_id, resident_id=account_id, identities=identities
    )
    if added != len(identities) - foreign:
        raise _Moved
    return account_id, bool(decision.joined)


async def caller_account(context: Context, conn: Connection) -> UUID | None:
    """The account of the request's token: a token that has not yet been called back may be of a joined one."""
    if context.viewer.resident_id is None:
        return None
    return await db.final_account(conn, municipality_id=context.municipality_id, id=context.viewer.resident_id)


async def _go_on(
    conn: Connection, decision: Decision, *, municipality_id: UUID, strength: Strength, name: str, locale: str
) -> None:
    """The account that stays takes over the joined ones, and is as strong as all of them have proven."""
    survivor, reached = decision.survivor, decision.strength(strength)
    assert survivor  # noqa: S101 # the caller knows
    if survivor.erased:
        await db.revive_resident(
            conn, municipality_id=municipality_id, id=survivor.id, display_name=name, locale=locale
        )
    raised = await db.raise_resident(conn, municipality_id=municipality_id, id=survivor.id, strength=reached)
    if decision.joined:
        joined_ids = [each.id for each in decision.joined]
        await join(
            conn, municipality_id=municipality_id, joined_ids=joined_ids, survivor_id=survivor.id, strength=reached
        )
        for joined_id in joined_ids:
            await repeat_join(conn, municipality_id=municipality_id, joined_id=joined_id)
    elif raised:
        await settle_votes(conn, municipality_id=municipality_id, resident_id=survivor.id, strength=reached)
