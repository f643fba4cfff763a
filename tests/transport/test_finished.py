"""Finished bytes: shared where that is right, and nowhere else (B7, F4)."""

import asyncio
import math
import time
from uuid import UUID, uuid4

import httpx2
import pytest

from backend import keeping
from backend.provenance import note_private, note_rows, note_until
from backend.transport.answers import Answer
from backend.transport.finished import FinishedAnswers, Key
from tests.transport import toy

pytestmark = pytest.mark.anyio

BOARD = "query Board($first: Int, $scope: Scope) { leaderboard(first: $first, scope: $scope) { nodes { id title } } }"


async def board(
    client: httpx2.AsyncClient, query: str = BOARD, variables: object = None, **headers: str
) -> httpx2.Response:
    return await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


async def test_f4_many_at_once_run_it_once(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    answers = await asyncio.gather(*(board(client) for _ in range(20)))
    assert {answer.content for answer in answers} == {
        b'{"data":{"leaderboard":{"nodes":[{"id":"I1","title":"Sauna"},{"id":"I2","title":"Sauna"}]}}}'
    }
    assert toy.seen["leaderboard"] == 1
    assert len(gate.charged) == 20


async def test_order_and_surplus_of_variables_do_not_matter(client: httpx2.AsyncClient) -> None:
    await board(client, variables={"first": 3, "scope": {"themeId": "T"}})
    await board(client, variables={"scope": {"themeId": "T"}, "first": 3, "surplus": 1})
    assert toy.seen["leaderboard"] == 1
    await board(client, variables={"first": 4, "scope": {"themeId": "T"}})
    assert toy.seen["leaderboard"] == 2


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (BOARD, {"heitto-municipality": "other"}),
        (BOARD, {"accept-language": "sv"}),
        (BOARD, {"authorization": "Bearer good"}),
        (BOARD.replace("title", "title viewerFollows"), {}),
        (BOARD.replace("title", "title ...F") + " fragment F on Idea { viewerFollows }", {}),
        (BOARD.replace("query Board", "query Other"), {}),
        (BOARD.replace("{ leaderboard", "{ hello leaderboard"), {}),
    ],
)
async def test_b7_others_get_their_own(client: httpx2.AsyncClient, query: str, headers: dict[str, str]) -> None:
    await board(client)
    await board(client, query, **headers)
    assert toy.seen["leaderboard"] == 2


async def test_b7_who_signed_in_leaves_nothing_behind(client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        await board(client, authorization="Bearer good")
    assert toy.seen["leaderboard"] == 2


async def test_answers_with_errors_are_not_kept(client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        answer = await board(client, "{ boardOrFailure(fail: true) }")
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert toy.seen["board_or_failure"] == 2


async def test_a_request_of_the_same_text_is_not_read_again(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    for _ in range(3):
        answer = await board(client)
    assert answer.status_code == 200
    assert len(gate.contexts) == 1
    assert gate.charged == [1, 1, 1]


async def test_a_body_and_a_query_string_of_one_text_are_not_taken_for_each_other(
    client: httpx2.AsyncClient,
) -> None:
    text = '{"query":"{leaderboard{nodes{id}}}"}'
    posted = await client.post("/graphql", content=text, headers={"content-type": "application/json"})
    assert posted.status_code == 200
    assert (await client.get(f"/graphql?{text}")).status_code == 400


async def test_who_is_over_the_limit_gets_no_kept_answer_either(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    gate.budget = 2
    assert [(await board(client)).status_code for _ in range(3)] == [200, 200, 429]


KEYS = {name: Key("scope", name) for name in "abc"}


async def make(body: bytes, made: list[bytes], *ids: UUID) -> Answer:
    made.append(body)
    note_rows(*ids)
    return Answer(body)


async def test_an_answer_is_kept_until_one_of_its_sources_changes() -> None:
    feed = toy.ToyFeed()
    kept, made = FinishedAnswers(feed), list[bytes]()
    mine, others = uuid4(), uuid4()
    for _ in range(2):
        await kept.get(KEYS["a"], lambda: make(b"1", made, mine))
    feed.change(others.hex)
    await kept.get(KEYS["a"], lambda: make(b"2", made, mine))
    assert made == [b"1"]
    feed.change(mine.hex)
    assert (await kept.get(KEYS["a"], lambda: make(b"3", made, mine))).body == b"3"
    assert made == [b"1", b"3"]


async def test_what_changes_while_an_answer_is_made_makes_it_stale() -> None:
    feed, mine = toy.ToyFeed(), uuid4()
    kept, made = FinishedAnswers(feed), list[bytes]()

    async def slow() -> Answer:
        feed.change(mine.hex)
        return await make(b"1", made, mine)

    assert (await kept.get(KEYS["a"], slow)).body == b"1"
    assert (await kept.get(KEYS["a"], lambda: make(b"2", made, mine))).body == b"2"


async def test_an_answer_ends_by_itself() -> None:
    kept, made = FinishedAnswers(toy.ToyFeed()), list[bytes]()

    async def soon() -> Answer:
        note_until([time.time() + 0.05])
        return await make(b"1", made)

    for _ in range(3):
        await kept.get(KEYS["a"], soon)
    await asyncio.sleep(0.06)
    await kept.get(KEYS["a"], soon)
    assert made == [b"1", b"1"]


@pytest.mark.parametrize("without", ["a feed", "a fresh feed"])
async def test_nothing_is_served_that_is_not_verified(without: str) -> None:
    feed, made = toy.ToyFeed(), list[bytes]()
    kept = FinishedAnswers(None if without == "a feed" else feed)
    await kept.get(KEYS["a"], lambda: make(b"1", made))
    feed.verified_until = -1
    assert (await kept.get(KEYS["a"], lambda: make(b"2", made))).body == b"2"
    feed.verified_until = math.inf
    assert made == [b"1", b"2"]


async def test_private_answers_and_answers_with_errors_are_not_kept() -> None:
    kept, made = FinishedAnswers(toy.ToyFeed()), list[bytes]()

    async def private() -> Answer:
        note_private()
        return await make(b"1", made)

    async def failing() -> Answer:
        return Answer((await make(b"2", made)).body, has_errors=True)

    for each in (private, private, failing, failing):
        await kept.get(KEYS["a"], each)
    assert len(made) == 4


async def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    made = list[bytes]()
    for kept in (FinishedAnswers(toy.ToyFeed(), max_answers=2), FinishedAnswers(toy.ToyFeed(), max_bytes=2_030)):
        for key in ("a", "b", "c", "a"):
            await kept.get(KEYS[key], lambda: make(b"12345", made))
    assert len(made) == 8


async def test_what_was_asked_for_again_stays_longer() -> None:
    kept, made = FinishedAnswers(toy.ToyFeed(), max_answers=2), list[bytes]()
    for key in ("a", "b", "c", "b", "a"):
        await kept.get(KEYS[key], lambda key=key: make(key.encode(), made))  # type: ignore[misc] # mypy can't infer it
    assert made == [b"a", b"b", b"c", b"a"]


async def test_a_text_finds_the_answer_made_anew() -> None:
    feed, mine = toy.ToyFeed(), uuid4()
    kept, made = FinishedAnswers(feed), list[bytes]()
    await kept.get(KEYS["a"], lambda: make(b"1", made, mine))
    kept.remember("text", 4, KEYS["a"], 3)
    kept.remember("long", 5_000, KEYS["a"], 3)
    assert kept.recall("long") is None
    recalled = kept.recall("text")
    assert recalled
    assert (recalled[0].body, recalled[1]) == (b"1", 3)
    feed.change(mine.hex)
    assert kept.recall("text") is None
    await kept.get(KEYS["a"], lambda: make(b"2", made, mine))
    recalled = kept.recall("text")
    assert recalled
    assert recalled[0].body == b"2"


async def test_who_leaves_does_not_take_the_answer_along() -> None:
    kept, made, gone = FinishedAnswers(toy.ToyFeed()), list[bytes](), asyncio.Event()

    async def slow() -> Answer:
        await gone.wait()
        return await make(b"1", made)

    first, second = (asyncio.create_task(kept.get(KEYS["a"], slow)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gone.set()
    assert (await second).body == b"1"
    assert made == [b"1"]


async def test_f4_who_comes_late_waits_for_a_younger_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """And still one is made at a time."""
    monkeypatch.setattr(keeping, "JOIN_SECONDS", 0.0)
    kept, made, at_once = FinishedAnswers(toy.ToyFeed()), list[bytes](), list[int]()
    running = 0

    async def slow() -> Answer:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.02)
        running -= 1
        return Answer((await make(b"%d" % len(made), made)).body, has_errors=True)

    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(kept.get(KEYS["a"], slow)))
        await asyncio.sleep(0.005)
    assert (await asyncio.gather(*tasks))[0].body == b"0"
    assert b"0" not in [each.result().body for each in tasks[1:]]
    assert set(at_once) == {1}


async def test_a_failure_reaches_everyone_and_is_forgotten() -> None:
    kept, made = FinishedAnswers(toy.ToyFeed()), list[bytes]()

    async def fail() -> Answer:
        await asyncio.sleep(0)
        raise ValueError("no")

    results = await asyncio.gather(kept.get(KEYS["a"], fail), kept.get(KEYS["a"], fail), return_exceptions=True)
    assert [str(each) for each in results] == ["no", "no"]
    assert (await kept.get(KEYS["a"], lambda: make(b"1", made))).body == b"1"
