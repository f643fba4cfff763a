"""Finished bytes: shared where that is right, and nowhere else (B7, F4)."""

import asyncio

import httpx2
import pytest

from backend.transport.answers import Answer
from backend.transport.finished import FinishedAnswers
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


async def make(body: bytes, made: list[bytes]) -> Answer:
    made.append(body)
    return Answer(body)


async def test_an_answer_is_kept_for_its_time() -> None:
    kept, made = FinishedAnswers(seconds=0.05), list[bytes]()
    for _ in range(3):
        await kept.get("a", lambda: make(b"1", made))
    await asyncio.sleep(0.06)
    await kept.get("a", lambda: make(b"2", made))
    assert made == [b"1", b"2"]


async def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    few, light, made = FinishedAnswers(max_answers=2), FinishedAnswers(max_bytes=10), list[bytes]()
    for kept in (few, light):
        for key in ("a", "b", "c", "a"):
            await kept.get(key, lambda: make(b"12345", made))
    assert len(made) == 8


async def test_who_leaves_does_not_take_the_answer_along() -> None:
    kept, made, gone = FinishedAnswers(), list[bytes](), asyncio.Event()

    async def slow() -> Answer:
        await gone.wait()
        return await make(b"1", made)

    first, second = (asyncio.create_task(kept.get("a", slow)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gone.set()
    assert (await second).body == b"1"
    assert made == [b"1"]


async def test_a_failure_reaches_everyone_and_is_forgotten() -> None:
    kept, made = FinishedAnswers(), list[bytes]()

    async def fail() -> Answer:
        await asyncio.sleep(0)
        raise ValueError("no")

    results = await asyncio.gather(kept.get("a", fail), kept.get("a", fail), return_exceptions=True)
    assert [str(each) for each in results] == ["no", "no"]
    assert (await kept.get("a", lambda: make(b"1", made))).body == b"1"
