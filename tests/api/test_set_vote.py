"""Votes count once, whatever happens on the way."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from backend.ids import parse_id
from tests.conftest import OTHER, Api

pytestmark = pytest.mark.anyio

TALLY = "SELECT vote_count, device_count, email_count, strong_count FROM idea_tallies"
VOTE = "idea { voteCount viewerVote { castAt counts strength } votesByStrength { strength count } }"


async def test_a1_parallel_votes_of_one_resident_are_one_vote(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    answers = await asyncio.gather(*(api.set_vote(idea_id, token=token) for _ in range(30)))
    assert {answer["idea"]["voteCount"] for answer in answers} == {1}
    assert await api.conn.fetchval("SELECT count(*) FROM votes") == 1
    assert tuple(await api.conn.fetchrow(TALLY) or ()) == (1, 0, 1, 0)


async def test_a10_toggles_at_once_never_upset_the_count(api: Api) -> None:
    """Batches in flight see the tally as it was before they waited: its checks must hold for what they write."""
    idea_id, tokens = await api.idea(), [await api.token() for _ in range(3)]
    for _ in range(10):
        await asyncio.gather(
            *(
                api.set_vote(idea_id, token=token, voted=voted)
                for voted in (True, False, True, False)
                for token in tokens
            )
        )
        votes = await api.conn.fetchval("SELECT count(*) FROM votes WHERE voted")
        assert tuple(await api.conn.fetchrow(TALLY) or ()) == (votes, 0, votes, 0)


async def test_votes_of_many_residents_at_once_all_count(api: Api) -> None:
    idea_id, tokens = await api.idea(), [await api.token() for _ in range(40)]
    await asyncio.gather(*(api.set_vote(idea_id, token=token) for token in tokens))
    assert tuple(await api.conn.fetchrow(TALLY) or ()) == (40, 0, 40, 0)


async def test_a_withdrawn_vote_keeps_its_row_and_its_first_time(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    cast = await api.set_vote(idea_id, token=token)
    withdrawn = await api.set_vote(idea_id, token=token, voted=False)
    again = await api.set_vote(idea_id, token=token)
    assert withdrawn["idea"] == {"voteCount": 0, "viewerVote": None}
    assert again["idea"] == cast["idea"]
    assert await api.conn.fetchval("SELECT count(*) FROM votes") == 1


async def test_a5_the_newest_decision_stands_in_whatever_order_they_come(api: Api) -> None:
    idea_id, token, now = await api.idea(), await api.token(), datetime.now(UTC)
    early, late = (now - timedelta(minutes=minutes) for minutes in (10, 5))
    await api.set_vote(idea_id, token=token, voted=False, decidedAt=late.isoformat())
    answer = await api.set_vote(idea_id, token=token, voted=True, decidedAt=early.isoformat())
    assert answer == {"idea": {"voteCount": 0, "viewerVote": None}, "errors": []}
    assert tuple(await api.conn.fetchrow(TALLY) or ()) == (0, 0, 0, 0)


async def test_a6_a_decision_from_the_future_counts_as_now(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    future = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    await api.set_vote(idea_id, token=token, decidedAt=future)
    answer = await api.set_vote(idea_id, token=token, voted=False)
    assert answer["idea"]["voteCount"] == 0


async def test_an_idea_that_was_decided_takes_no_votes(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    await api.set_vote(idea_id, token=token)
    await api.conn.execute("UPDATE ideas SET status = 'PLANNED'")
    for voted in (True, False):
        answer = await api.set_vote(idea_id, token=token, voted=voted)
        assert answer == {"idea": None, "errors": [{"code": "CLOSED", "field": ["input", "ideaId"]}]}
    assert tuple(await api.conn.fetchrow(TALLY) or ()) == (1, 0, 1, 0)


async def test_votes_below_the_municipalitys_strength_are_kept_and_do_not_count(api: Api) -> None:
    await api.conn.execute("UPDATE municipalities SET vote_strength = 'EMAIL'")
    idea_id = await api.idea()
    for strength in ("DEVICE", "DEVICE", "EMAIL", "STRONG"):
        token = await api.token(strength=strength)
        answer = await api.mutate("setVote", {"ideaId": idea_id, "voted": True}, VOTE, token=token)
        assert answer["idea"]["viewerVote"]["counts"] is (strength != "DEVICE")
    assert answer["idea"]["voteCount"] == 2
    assert [each["count"] for each in answer["idea"]["votesByStrength"]] == [2, 1, 1]


async def test_c1_an_idea_of_another_municipality_is_not_there(api: Api) -> None:
    token = await api.token(municipality="muula")
    answer = await api.set_vote(await api.idea(), token=token)
    assert answer == {"idea": None, "errors": [{"code": "NOT_FOUND", "field": ["input", "ideaId"]}]}
    assert await api.conn.fetchval("SELECT count(*) FROM votes") == 0


async def test_without_an_account_nobody_votes(api: Api) -> None:
    query = "mutation ($i: SetVoteInput!) { setVote(input: $i) { errors { code } } }"
    answer = await api.post(query, {"i": {"ideaId": await api.idea(), "voted": True}})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_municipality_whose_ideas_are_locked_keeps_no_other_from_voting(api: Api) -> None:
    """As they are by a recount of one: votes that arrive together share a statement, but not with another's."""
    here, there = [await api.token() for _ in range(2)], await api.token(municipality=OTHER)
    locked, free = await api.idea(token=here[0]), await api.idea(token=there)

    async def code_of(idea: str, token: str) -> str:
        asked = {"i": {"ideaId": idea, "voted": True}}
        return await api.code("mutation ($i: SetVoteInput!) { setVote(input: $i) { __typename } }", asked, token=token)

    async with api.conn.transaction():
        await api.conn.execute("SELECT FROM ideas WHERE id = $1 FOR UPDATE", parse_id(locked)[1])
        first = asyncio.create_task(code_of(locked, here[0]))
        await asyncio.sleep(0.2)  # while that waits the next ones gather
        second = asyncio.create_task(code_of(locked, here[1]))
        payload = await api.set_vote(free, token=there)
        assert payload["idea"]["voteCount"] == 1
        assert [await first, await second] == ["UNAVAILABLE"] * 2
