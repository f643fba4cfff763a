"""The statement that writes votes."""

import pytest

from backend.db.pool import Connection
from backend.db.votes import VoteStatement, recount, set_votes
from tests.chaos.checks import miscounts
from tests.conftest import Api

pytestmark = pytest.mark.anyio

FIVE = 5  # PostgreSQL plans a statement for its values so often before it may keep one plan


async def test_batches_of_every_size_share_one_plan(api: Api, conn: Connection) -> None:
    for _ in range(3):
        await api.idea()
    municipality_id = api.catalogue.id
    idea_ids = [row[0] for row in await conn.fetch("SELECT id FROM ideas ORDER BY id")]
    resident_ids = [row[0] for row in await conn.fetch("SELECT id FROM residents ORDER BY id LIMIT 10")]
    for size in (1, 1, 1, 1, 1, 1, 30, 2, 30):
        ballots = [(idea_id, resident_id) for idea_id in idea_ids for resident_id in resident_ids][:size]
        outcomes = await set_votes(conn, [VoteStatement(municipality_id, *ballot, True) for ballot in ballots])
        assert all(outcome.vote for outcome in outcomes)
    # A parameter, so that this question doesn't find itself.
    plans = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE $1"
    found = await conn.fetchrow(plans, "%INSERT INTO votes%")
    assert tuple(found or ()) == (FIVE, 9 - FIVE)


async def test_a_vote_taken_back_and_another_cast_in_one_batch_move_days_and_boards(api: Api, conn: Connection) -> None:
    """Counts stay, but a vote of three days ago made way for one of today."""
    await api.idea()
    idea_id = await conn.fetchval("SELECT id FROM ideas")
    first, second = [row[0] for row in await conn.fetch("SELECT id FROM residents ORDER BY id LIMIT 2")]
    await set_votes(conn, [VoteStatement(api.catalogue.id, idea_id, first, True)])
    await conn.execute("UPDATE votes SET cast_at = cast_at - interval '3 days'")
    await recount(conn, municipality_id=api.catalogue.id)
    before = await conn.fetchval("SELECT version FROM idea_tallies")
    said = [(first, False), (second, True)]
    await set_votes(conn, [VoteStatement(api.catalogue.id, idea_id, who, voted) for who, voted in said])
    assert await miscounts(conn) == []
    assert await conn.fetchval("SELECT version FROM idea_tallies") == before + 1
