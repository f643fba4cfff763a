"""`heitto audit-verify`: recomputes every audit chain, and names the first entry that isn't what was written."""

import re
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager

from rich.console import Console
from rich.progress import Progress

from backend.commands import CommandError, connect
from backend.db import audit
from backend.db.audit import ChainRow, HeadRow
from backend.db.pool import Connection
from backend.rules.audit_chain import START, Broken, diagnose, end, follows
from backend.settings import Settings

_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


async def verify_audit(settings: Settings, *, slug: str, expect: str) -> tuple[list[str], bool]:
    """A line for each chain, and whether all are whole. Raises CommandError for what can't be looked for."""
    anchor, lines, whole = _anchor(expect), [], True
    conn = await connect(settings.database_url)
    try:
        # One snapshot, so that entries and heads belong together while others go on writing.
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            there_are = await audit.chains(conn)
            chains = [each for each in there_are if slug in ("", each.name)]
            if not chains or (anchor and len(chains) > 1):
                raise CommandError(f"--municipality is one of {', '.join(each.name for each in there_are) or 'none'}")
            for chain in chains:
                with _progress(chain) as advance:
                    found = await _verified(conn, chain, anchor, advance)
                whole = whole and isinstance(found, HeadRow)
                lines.append(_line(chain, found))
    finally:
        await conn.close()
    return lines, whole


async def _verified(
    conn: Connection, chain: ChainRow, anchor: HeadRow | None, advance: Callable[[int], None]
) -> HeadRow | Broken:
    """The end of a whole chain, or its first broken link."""
    municipality_id, sequence, previous = chain.municipality_id, 0, START
    async with aclosing(audit.entries(conn, municipality_id=municipality_id)) as entries:
        async for entry in entries:
            if not follows(municipality_id, entry, sequence=sequence + 1, previous=previous):
                after = await anext(entries, None)
                return diagnose(municipality_id, entry, after, chain.head, sequence=sequence + 1)
            sequence, previous = entry.sequence, entry.hash
            if anchor and sequence == anchor.sequence and previous != anchor.hash:
                return Broken(sequence, "not the entry that is expected: this or earlier ones were written anew")
            if sequence % audit.BATCH == 0:
                advance(sequence)
    if broken := end(chain.head, sequence=sequence, last=previous):
        return broken
    if anchor and anchor.sequence > sequence:
        return Broken(sequence + 1, f"cut at the end, with the head: entry {anchor.sequence} is expected")
    return HeadRow(sequence, previous)


def _line(chain: ChainRow, found: HeadRow | Broken) -> str:
    if isinstance(found, Broken):
        return f"{chain.name} is broken at entry {found.sequence}: {found.what}"
    return f"{chain.name} {found.sequence} entries, head {found.sequence}:{found.hash.hex()}"


def _anchor(expect: str) -> HeadRow | None:
    if not expect:
        return None
    match = _ANCHOR.fullmatch(expect)
    if not match or not int(match[1]):
        raise CommandError("--expect is SEQUENCE:HASH, as audit-verify and the worker's log say it")
    return HeadRow(int(match[1]), bytes.fromhex(match[2]))


@contextmanager
def _progress(chain: ChainRow) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(chain.name, total=chain.head.sequence if chain.head else None)
        yield lambda done: progress.update(task, completed=done)
