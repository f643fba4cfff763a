"""What followers are told, how they read it, and how it comes to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from redis.asyncio import Redis

from backend.db.pool import open_pool
from backend.ids import global_id, parse_id
from backend.jobs import notify_followers, queue
from tests.conftest import Api, Json
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

NOTIFICATIONS = """query ($first: Int, $after: String, $unreadOnly: Boolean! = false) { viewer { unreadCount
  notifications(first: $first, after: $after, unreadOnly: $unreadOnly) {
    nodes { id kind readAt createdAt idea { id } response { id } } pageInfo { hasNextPage endCursor } } } }"""
RECEIVED = "subscription { notificationReceived { id kind idea { id status } response { body } } }"


async def respond(api: Api, idea_id: str, **input: object) -> str:
    """The id of a new official's response."""
    asked = {"ideaId": idea_id, "kind": "RECEIPT", "body": "Luettu.", "idempotencyKey": str(uuid4()), **input}
    payload = await api.mutate("respondToIdea", asked, "response { id }", token=await api.token("OFFICIAL"))
    response_id: str = payload["response"]["id"]
    return response_id


async def deliver(api: Api) -> None:
    """Does the jobs that wait, as a worker would."""
    pool, redis = await open_pool(api.settings.database_url, size=2), Redis.from_url(api.settings.redis_url)
    stopping = asyncio.Event()
    jobs = {notify_followers.NAME: notify_followers.notify_followers(pool, redis)}
    working = asyncio.create_task(queue.work(api.settings.database_url, jobs=jobs, hourly={}, stopping=stopping))
    async with asyncio.timeout(10):
        while await api.conn.fetchval("SELECT count(*) FROM pgqueuer"):  # noqa: ASYNC110 # the worker empties it
            await asyncio.sleep(0.02)
    stopping.set()
    await working
    await redis.aclose()
    await pool.close()


async def told(api: Api, *, token: str, **variables: object) -> Json:
    viewer: Json = (await api.data(NOTIFICATIONS, variables, token=token))["viewer"]
    return viewer


async def follower(api: Api, *ideas: str) -> str:
    """The token of a new resident who follows the ideas."""
    token = await api.token()
    for idea_id in ideas:
        await api.mutate("setFollow", {"subjectId": idea_id, "following": True}, "subject { id }", token=token)
    return token


async def test_followers_are_told_of_a_response(api: Api) -> None:
    idea_id = await api.idea()
    token, stranger = await follower(api, idea_id), await api.token()
    response_id = await respond(api, idea_id)
    await deliver(api)
    viewer = await told(api, token=token)
    [note] = viewer["notifications"]["nodes"]
    assert (note["kind"], note["idea"], note["response"]) == ("RESPONSE", {"id": idea_id}, {"id": response_id})
    assert (note["readAt"], viewer["unreadCount"]) == (None, 1)
    assert (await told(api, token=stranger))["notifications"]["nodes"] == []


async def test_a_new_status_is_told_beside_the_response(api: Api) -> None:
    idea_id = await api.idea()
    token = await follower(api, idea_id)
    await respond(api, idea_id, newStatus="UNDER_REVIEW")
    await deliver(api)
    nodes = (await told(api, token=token))["notifications"]["nodes"]
    assert sorted(note["kind"] for note in nodes) == ["RESPONSE", "STATUS_CHANGED"]


async def test_a_withdrawal_is_told_without_a_response_and_not_to_who_withdrew(api: Api) -> None:
    author = await api.token()
    idea_id = await api.idea(token=author)
    token = await follower(api, idea_id)
    await api.mutate("withdrawIdea", {"ideaId": idea_id}, "idea { id }", token=author)
    await deliver(api)
    [note] = (await told(api, token=token))["notifications"]["nodes"]
    assert (note["kind"], note["response"]) == ("STATUS_CHANGED", None)
    assert (await told(api, token=author))["unreadCount"] == 0


async def test_notifications_are_paged_newest_first(api: Api) -> None:
    idea_id = await api.idea()
    token = await follower(api, idea_id)
    responses = []
    for _ in range(5):
        responses.append(await respond(api, idea_id))
        await deliver(api)
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await told(api, token=token, first=2, after=after))["notifications"]
        seen += [note["response"]["id"] for note in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == responses[::-1]


async def test_marking_reads_everything_up_to_it(api: Api) -> None:
    idea_id = await api.idea()
    token, neighbour = await follower(api, idea_id), await follower(api, idea_id)
    for _ in range(3):
        await respond(api, idea_id)
        await deliver(api)
    newest, middle, oldest = (note["id"] for note in (await told(api, token=token))["notifications"]["nodes"])
    marked = await api.mutate("markNotificationsRead", {"upTo": middle}, "unreadCount", token=token)
    assert marked == {"unreadCount": 1, "errors": []}
    nodes = (await told(api, token=token))["notifications"]["nodes"]
    assert [(note["id"], note["readAt"] is None) for note in nodes] == [
        (newest, True),
        (middle, False),
        (oldest, False),
    ]
    unread = await told(api, token=token, unreadOnly=True)
    assert [note["id"] for note in unread["notifications"]["nodes"]] == [newest]
    await api.mutate("markNotificationsRead", {"upTo": middle}, "unreadCount", token=token)
    assert (await told(api, token=token))["notifications"]["nodes"] == nodes
    assert (await told(api, token=neighbour))["unreadCount"] == 3


async def test_only_ones_own_notifications_are_there(api: Api) -> None:
    idea_id = await api.idea()
    token, neighbour = await follower(api, idea_id), await follower(api, idea_id)
    await respond(api, idea_id)
    await deliver(api)
    [note] = (await told(api, token=token))["notifications"]["nodes"]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert (await api.data(query, {"id": note["id"]}, token=token))["node"] == {"id": note["id"]}
    assert (await api.data(query, {"id": note["id"]}, token=neighbour))["node"] is None
    for up_to in (note["id"], idea_id, global_id("Notification", uuid4())):
        marked = await api.mutate("markNotificationsRead", {"upTo": up_to}, "unreadCount", token=neighbour)
        assert marked == {"unreadCount": None, "errors": [{"code": "NOT_FOUND", "field": ["input", "upTo"]}]}
    assert (await told(api, token=neighbour))["unreadCount"] == 1


async def test_a_notification_of_a_hidden_idea_stays_without_it(api: Api) -> None:
    idea_id = await api.idea()
    token = await follower(api, idea_id)
    await respond(api, idea_id)
    await deliver(api)
    hidden = {"ideaId": idea_id, "reason": "Solvaus"}
    await api.mutate("hideIdea", hidden, "idea { id }", token=await api.token("MODERATOR"))
    [note] = (await told(api, token=token))["notifications"]["nodes"]
    assert (note["kind"], note["idea"], note["response"]) == ("RESPONSE", None, None)


@asynccontextmanager
async def listening(api: Api, token: str) -> AsyncIterator[Wire]:
    """A phone that is subscribed."""
    wire = Wire(api.app, "websocket", "/graphql", {"host": "heitto.test"}, subprotocols=["graphql-transport-ws"])
    wire.put({"type": "websocket.connect"})
    wire.say({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
    wire.say({"type": "subscribe", "id": "1", "payload": {"query": RECEIVED}})
    async with wire:
        assert (await wire.take())["type"] == "websocket.accept"
        assert (await wire.hear())["type"] == "connection_ack"
        await asyncio.sleep(0.5)  # the protocol has no word for a subscription that stands
        yield wire


async def received(wire: Wire) -> Json:
    """The next notification."""
    while True:
        frame = await wire.hear()
        if frame["type"] != "ping":
            break
    assert frame["type"] == "next", frame
    note: Json = frame["payload"]["data"]["notificationReceived"]
    return note


async def test_notifications_come_to_who_listens_from_then_on_and_once(api: Api) -> None:
    idea_id = await api.idea()
    token = await follower(api, idea_id)
    await respond(api, idea_id, body="Ennen.")
    await deliver(api)
    async with listening(api, token) as wire:
        await respond(api, idea_id, body="Nyt.", newStatus="UNDER_REVIEW")
        await deliver(api)
        notes = [await received(wire) for _ in range(2)]
        await respond(api, idea_id, body="Sitten.")
        await deliver(api)
        notes.append(await received(wire))
    assert sorted((note["kind"], note["response"]["body"]) for note in notes) == [
        ("RESPONSE", "Nyt."),
        ("RESPONSE", "Sitten."),
        ("STATUS_CHANGED", "Nyt."),
    ]
    assert {note["idea"]["status"] for note in notes} == {"UNDER_REVIEW"}
    assert len({note["id"] for note in notes}) == 3


async def test_a_notification_committed_late_still_comes(api: Api) -> None:
    idea_id = await api.idea()
    token = await follower(api, idea_id)
    municipality_id, idea = api.catalogue.id, parse_id(idea_id)[1]
    resident_id = await api.conn.fetchval("SELECT resident_id FROM follows ORDER BY followed_at DESC LIMIT 1")
    insert = """
    INSERT INTO notifications (municipality_id, id, resident_id, event_id, kind, idea_id)
    VALUES ($1, uuidv7($4::interval), $2, gen_random_uuid(), 'STATUS_CHANGED', $3) RETURNING id
    """
    redis = Redis.from_url(api.settings.redis_url)
    channel, wake = f"{{{municipality_id}}}:notifications", orjson.dumps([str(resident_id)])
    async with listening(api, token) as wire:
        for age in (timedelta(0), timedelta(seconds=-30)):  # the later committed one was begun earlier
            id_ = await api.conn.fetchval(insert, municipality_id, resident_id, idea, age)
            await redis.publish(channel, wake)
            assert (await received(wire))["id"] == global_id("Notification", id_)
    await redis.aclose()
