"""The feed that kept public answers are held against: nothing that commits is passed over, nothing is told twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest

from backend.commands import connect
from backend.db import public_changes
from backend.db.pool import open_pool
from backend.demo.load import SLUG
from backend.ids import parse_id
from backend.provenance import ANY, Sources, Span, ideas_of, votes_of
from backend.realtime.background import running
from backend.realtime.changes import POLL_SECONDS, RETRY_SECONDS, Changes
from tests.conftest import Api

pytestmark = pytest.mark.anyio

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
TOUCH = "UPDATE idea_tallies SET changed_xid = pg_current_xact_id()::text::bigint WHERE idea_id = $1"


@pytest.fixture
async def feed(database_url: str) -> AsyncIterator[Changes]:
    pool = await open_pool(database_url, size=2)
    made = Changes(pool)
    async with running(made.run()):
        assert await made.verify()
        yield made
    await pool.close()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def polled(feed: Changes) -> None:
    """Returns after a poll that began from now on."""
    now = asyncio.get_running_loop().time()
    for _ in range(200):
        feed.ask()
        if feed._polled_at >= now:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("there was no poll")


def of(*ids: UUID) -> Sources:
    return Sources(ids={id.hex for id in ids})


async def test_what_commits_late_is_told(api: Api, feed: Changes, other: Connection) -> None:
    ideas = [parse_id(await api.idea())[1] for _ in range(2)]
    await polled(feed)
    began = feed.sequence
    late = other.transaction()
    await late.start()
    await other.execute(TOUCH, ideas[0])
    await api.conn.execute(TOUCH, ideas[1])  # a younger transaction, over before the older one
    await polled(feed)
    assert [feed.changed(of(idea), began) for idea in ideas] == [False, True]
    between = feed.sequence
    await late.commit()
    await polled(feed)
    assert [feed.changed(of(idea), between) for idea in ideas] == [True, False]


async def test_a_long_transaction_makes_nothing_be_told_twice(api: Api, feed: Changes, other: Connection) -> None:
    idea = parse_id(await api.idea())[1]
    async with other.transaction():
        await other.fetchval("SELECT pg_current_xact_id()")
        await api.conn.execute(TOUCH, idea)
        await polled(feed)
        told = feed.sequence
        for _ in range(2):
            await polled(feed)
        assert feed.sequence == told


async def test_what_changed_while_nobody_asked_is_told_then(api: Api, feed: Changes) -> None:
    idea = parse_id(await api.idea())[1]
    await polled(feed)
    began = feed.sequence
    # All connections of the feed end, as when PostgreSQL starts anew.
    ended = await api.conn.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_current_snapshot() AS snapshot%'"
        " AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    assert ended
    await api.conn.execute(TOUCH, idea)
    await asyncio.sleep(POLL_SECONDS + RETRY_SECONDS)
    await polled(feed)
    assert feed.changed(of(idea), began)


async def test_too_many_changes_at_once_make_everything_stale(
    api: Api, feed: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ideas = [parse_id(await api.idea())[1] for _ in range(3)]
    await polled(feed)
    began, position = feed.sequence, feed.position
    monkeypatch.setattr(public_changes, "LARGEST", 2)
    for idea in ideas:
        await api.conn.execute(TOUCH, idea)
    await polled(feed)
    assert feed.changed(of(UUID(int=1)), began)
    assert await feed.changed_after(of(UUID(int=1)), position)
    assert not feed.changed(of(UUID(int=1)), feed.sequence)


async def test_numbers_from_another_cluster_are_no_changes(api: Api, feed: Changes) -> None:
    """A restored dump holds transaction numbers that this one will only come to."""
    idea = parse_id(await api.idea())[1]
    await polled(feed)
    began = feed.sequence
    await api.conn.execute("UPDATE idea_tallies SET changed_xid = 2::bigint ^ 40 WHERE idea_id = $1", idea)
    await polled(feed)
    assert feed.sequence == began
    await api.conn.execute(TOUCH, idea)
    await polled(feed)
    assert feed.changed(of(idea), began)


async def test_a_process_that_starts_can_tell_what_changed_before(api: Api, feed: Changes, database_url: str) -> None:
    ideas = [parse_id(await api.idea())[1] for _ in range(2)]
    await polled(feed)
    position = feed.position
    await api.conn.execute(TOUCH, ideas[0])
    await asyncio.sleep(0)
    pool = await open_pool(database_url, size=2)
    young = Changes(pool)
    async with running(young.run()):
        assert await young.verify()
        for each in (feed, young):
            await polled(each)
            assert [await each.changed_after(of(idea), position) for idea in ideas] == [True, False]
    await pool.close()


async def test_a_list_read_off_a_mirror_is_shown_until_what_it_lacks_must_be(api: Api, feed: Changes) -> None:
    idea = parse_id(await api.idea())[1]
    names = (ideas_of(api.catalogue.id), votes_of(api.catalogue.id))
    await polled(feed)
    position = feed.position
    assert await feed.shown_for(names, position) == float("inf")
    await api.conn.execute(TOUCH, idea)
    await polled(feed)
    assert 0 < await feed.shown_for(names, position) < 1
    assert await feed.shown_for((votes_of(UUID(int=1)),), position) == float("inf")
    await asyncio.sleep(1)
    assert await feed.shown_for(names, position) <= 0
    assert await feed.shown_for(names, feed.position) == float("inf")


async def test_a_vote_tells_its_lists_and_writes_no_row(api: Api, feed: Changes) -> None:
    id = await api.idea()
    idea, theme = parse_id(id)[1], api.catalogue.general_theme.id
    await polled(feed)
    began = feed.sequence
    rows = await api.conn.fetchval("SELECT count(*) FROM public_changes")
    await api.set_vote(id, token=await api.token())
    await polled(feed)
    assert await api.conn.fetchval("SELECT count(*) FROM public_changes") == rows
    assert feed.changed(of(idea), began)
    for scope in (api.catalogue.id, theme):
        assert feed.changed(Sources(lists={votes_of(scope): [ANY]}), began)
        assert feed.changed(Sources(lists={votes_of(scope): [Span("", "~", 1, 1)]}), began)
        assert not feed.changed(Sources(lists={votes_of(scope): [Span("", "~", 1, 2)]}), began)
        assert not feed.changed(Sources(lists={ideas_of(scope): [ANY]}), began)
    assert not feed.changed(Sources(lists={votes_of(next(iter(api.catalogue.districts))): [ANY]}), began)


async def test_a_bulk_load_is_told_in_one_row(conn: Connection, feed: Changes) -> None:
    municipality = await conn.fetchval("SELECT id FROM municipalities WHERE slug = $1", SLUG)
    await conn.execute("DELETE FROM public_changes")
    await conn.execute(
        """
        INSERT INTO groups (municipality_id, display_name, kind, description, approves_members)
        SELECT $1, 'Ryhmä ' || n, 'INFORMAL', '', false FROM generate_series(1, 300) AS n
        """,
        municipality,
    )
    rows = await conn.fetch("SELECT kind, subject_id FROM public_changes")
    assert [tuple(row) for row in rows] == [("ALL", None)]
    await polled(feed)
    assert feed.changed(of(municipality), 0)


async def test_old_changes_are_forgotten(conn: Connection) -> None:
    municipality = await conn.fetchval("SELECT id FROM municipalities WHERE slug = $1", SLUG)
    await conn.execute("DELETE FROM public_changes")
    for age in ("-61 minutes", "-50 minutes"):
        await conn.execute(
            "INSERT INTO public_changes (municipality_id, id, kind) VALUES ($1, uuidv7($2::text::interval), 'ALL')",
            municipality,
            age,
        )
    await public_changes.prune_public_changes(conn)
    assert await conn.fetchval("SELECT count(*) FROM public_changes") == 1
