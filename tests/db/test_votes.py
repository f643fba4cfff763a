"""The statement that writes votes."""

import pytest

from backend.db.pool import Connection
from backend.db.votes import VoteStatement, set_votes
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
