"""Boards, ideas and notifications as they change, over both transports, through votes and a loss of Redis."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest
import redis
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from backend.serve import BACKLOG, raise_file_limit
from tests.running import Demo, running_demo

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOARD = "subscription { leaderboardChanged(first: 3) { rank score idea { title } } }"
Events = asyncio.Queue[Any]  # Any: JSON


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running_demo("--empty") as running:
        yield running


async def ask(demo: Demo, query: str, token: str = "", **variables: object) -> Any:  # Any: JSON
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(timeout=10) as client:
        answer = await client.post(demo.graphql, json={"query": query, "variables": variables}, headers=headers)
    return answer.json()["data"]


async def throw(demo: Demo, title: str) -> str:
    answer = await ask(
        demo,
        "mutation ($i: SubmitIdeaInput!) { submitIdea(input: $i) { idea { id } } }",
        demo.tokens["resident"],
        i={"title": title, "locale": "fi", "idempotencyKey": str(uuid4())},
    )
    idea_id: str = answer["submitIdea"]["idea"]["id"]
    return idea_id


async def vote(demo: Demo, idea_id: str, voted: bool, token: str = "official") -> None:  # noqa: S107 # whose
    answer = await ask(
        demo,
        "mutation ($i: SetVoteInput!) { setVote(input: $i) { errors { code } } }",
        demo.tokens[token],
        i={"ideaId": idea_id, "voted": voted},
    )
    assert answer == {"setVote": {"errors": []}}


@asynccontextmanager
async def over_websocket(demo: Demo, query: str, token: str = "") -> AsyncIterator[Events]:
    events: Events = asyncio.Queue()

    async def listen() -> None:
        async for message in socket:
            event = json.loads(message)
            if event["type"] == "next":
                events.put_nowait((time.monotonic(), event["payload"]["data"]))
            elif event["type"] != "ping":
                events.put_nowait((time.monotonic(), event))

    protocol = Subprotocol("graphql-transport-ws")
    async with connect(demo.websocket, subprotocols=[protocol]) as socket:
        payload = {"authorization": f"Bearer {demo.tokens[token]}"} if token else {}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        listening = asyncio.create_task(listen())
        yield events
        listening.cancel()


@asynccontextmanager
async def over_sse(demo: Demo, query: str, token: str = "") -> AsyncIterator[Events]:
    events: Events = asyncio.Queue()

    async def listen(lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if line.startswith("data: {"):
                events.put_nowait((time.monotonic(), json.loads(line[6:])["data"]))

    headers = {"accept": "text/event-stream"} | ({"authorization": f"Bearer {demo.tokens[token]}"} if token else {})
    async with (
        httpx2.AsyncClient(timeout=60) as client,
        client.stream("POST", demo.stream, json={"query": query}, headers=headers) as response,
    ):
        assert response.status_code == 200
        listening = asyncio.create_task(listen(response.aiter_lines()))
        yield events
        listening.cancel()


async def until(events: Events, wanted: object) -> None:
    """Reads events up to the wanted one."""
    async with asyncio.timeout(20):
        while (await events.get())[1] != wanted:
            pass


def places(*rows: tuple[int, str]) -> dict[str, object]:
    return {
        "leaderboardChanged": [
            {"rank": n, "score": score, "idea": {"title": title}} for n, (score, title) in enumerate(rows, start=1)
        ]
    }


async def test_a_vote_moves_the_board_on_both_transports_and_across_a_restart_of_redis(demo: Demo) -> None:
    first, second = await throw(demo, "Ensimmäinen"), await throw(demo, "Toinen")
    async with over_websocket(demo, BOARD) as socket, over_sse(demo, BOARD) as stream:
        for events in (socket, stream):
            await until(events, places((0, "Ensimmäinen"), (0, "Toinen")))
        await vote(demo, second, True)
        for events in (socket, stream):
            await until(events, places((1, "Toinen"), (0, "Ensimmäinen")))

        store = redis.Redis.from_url(demo.redis_url)
        info: Any = store.info("server")  # Any: redis-py types it for both of its clients
        os.kill(info["process_id"], signal.SIGKILL)
        await vote(demo, first, True)
        await vote(demo, first, True, token="resident")
        for events in (socket, stream):
            await until(events, places((2, "Ensimmäinen"), (1, "Toinen")))
        await asyncio.sleep(2)  # Redis is back by now
        await vote(demo, second, False)
        for events in (socket, stream):
            await until(events, places((2, "Ensimmäinen"), (0, "Toinen")))


async def test_b3_under_many_votes_the_board_is_told_at_most_once_a_second(demo: Demo) -> None:
    idea_id = await throw(demo, "Vilkas")
    async with over_sse(demo, BOARD) as events:
        await asyncio.sleep(0.5)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            await asyncio.gather(*(vote(demo, idea_id, voted) for voted in (True, False, True)))
        moments = [events.get_nowait()[0] for _ in range(events.qsize())]
    assert 2 <= len(moments) <= 6
    assert all(later - earlier > 0.9 for earlier, later in pairwise(moments))


async def test_an_answer_reaches_the_follower_who_is_listening(demo: Demo) -> None:
    idea_id = await throw(demo, "Vastattava")
    query = "subscription { notificationReceived { kind idea { title } response { body } } }"
    watch = f'subscription {{ ideaChanged(id: "{idea_id}") {{ status latestResponse {{ body }} }} }}'
    async with over_websocket(demo, query, token="resident") as told, over_sse(demo, watch) as watched:
        await until(watched, {"ideaChanged": {"status": "OPEN", "latestResponse": None}})
        await ask(
            demo,
            "mutation ($i: RespondToIdeaInput!) { respondToIdea(input: $i) { errors { code } } }",
            demo.tokens["official"],
            i={"ideaId": idea_id, "kind": "PART_ANSWER", "body": "Kiitos!", "idempotencyKey": str(uuid4())},
        )
        expected = {"kind": "RESPONSE", "idea": {"title": "Vastattava"}, "response": {"body": "Kiitos!"}}
        await until(told, {"notificationReceived": expected})
        await until(watched, {"ideaChanged": {"status": "OPEN", "latestResponse": {"body": "Kiitos!"}}})


async def test_more_connections_than_wait_at_the_door_keep_nobody_out(demo: Demo) -> None:
    raise_file_limit()
    host, _, port = urlsplit(demo.graphql).netloc.partition(":")
    idle = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(BACKLOG + 100)]
    try:
        assert await ask(demo, "{ municipality { id } }")
    finally:
        for writer in idle:
            writer.close()


async def test_e16_what_has_no_bounded_headers_is_not_spoken(demo: Demo) -> None:
    address = urlsplit(demo.graphql)
    for sent, answered in (
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 300_000 + b"\r\n\r\n", b"HTTP/1.1 431"),
    ):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sent)
        heard = await asyncio.wait_for(reader.read(), 5)
        assert heard.startswith(answered)
        assert not heard.startswith(b"\0\0")  # the settings of HTTP/2
        writer.close()
