"""The devices of an account: listed, called what their owner calls them, signed out one or all."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from backend.db.pool import open_pool, transaction
from backend.db.sessions import MOST, start_session
from backend.ids import global_id, parse_id
from backend.jobs.prune import prune
from tests.conftest import OTHER, Api
from tests.contents import contents

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds
SESSIONS = "{ viewer { sessions { nodes { id method deviceName createdAt lastUsedAt expiresAt isCurrent } } } }"
TOKENS = "accessToken refreshToken viewer { resident { id } sessions { nodes { id isCurrent deviceName } } }"


async def registered(api: Api, **input: object) -> Json:
    asked = {"locale": "fi", "idempotencyKey": str(uuid4()), **input}
    payload = await api.mutate("registerDevice", asked, TOKENS)
    assert payload["errors"] == []
    return payload


async def another_device(api: Api, first: Json) -> str:
    """The access token of another session of the same account."""
    id = parse_id(first["viewer"]["resident"]["id"])[1]
    await api.conn.execute(
        """
        INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at, method, device_name)
        SELECT municipality_id, id, sha256($2), now(), now() + interval '90 days', 'EMAIL', 'Tabletti'
        FROM residents WHERE id = $1
        """,
        id,
        b"another",
    )
    await api.conn.execute(
        """
        INSERT INTO refresh_tokens (municipality_id, token_hash, session_id, issued_at)
        SELECT municipality_id, head_hash, id, now() FROM sessions WHERE resident_id = $1 AND method = 'EMAIL'
        """,
        id,
    )
    token: str = (await refreshed(api, "another"))["accessToken"]
    return token


async def refreshed(api: Api, token: str) -> Json:
    return await api.mutate("refreshSession", {"refreshToken": token}, "accessToken refreshToken")


async def listed(api: Api, token: str) -> list[Json]:
    found: list[Json] = (await api.data(SESSIONS, token=token))["viewer"]["sessions"]["nodes"]
    return found


async def test_a_person_sees_their_devices_and_which_one_this_is(api: Api) -> None:
    before = datetime.now(UTC)
    phone = await registered(api, deviceName="  Ainon puhelin ")
    tablet = await another_device(api, phone)
    nodes = await listed(api, tablet)
    assert [(n["method"], n["deviceName"], n["isCurrent"]) for n in nodes] == [
        ("EMAIL", "Tabletti", True),
        ("DEVICE", "Ainon puhelin", False),
    ]
    for node in nodes:
        created, used = (datetime.fromisoformat(node[name]) for name in ("createdAt", "lastUsedAt"))
        assert abs(used - before) < timedelta(minutes=1)
        assert abs(created - before) < timedelta(minutes=1)
        assert abs(datetime.fromisoformat(node["expiresAt"]) - used - timedelta(days=90)) < timedelta(seconds=2)
    assert [n["isCurrent"] for n in await listed(api, phone["accessToken"])] == [False, True]
    assert phone["viewer"]["sessions"]["nodes"] == [
        {"id": nodes[1]["id"], "isCurrent": True, "deviceName": "Ainon puhelin"}
    ]


async def test_sessions_come_in_pages(api: Api) -> None:
    phone = await registered(api)
    await another_device(api, phone)
    query = """query ($after: String) {
      viewer { sessions(first: 1, after: $after) { nodes { method } pageInfo { hasNextPage endCursor } } }
    }"""
    first = (await api.data(query, token=phone["accessToken"]))["viewer"]["sessions"]
    assert first["nodes"] == [{"method": "EMAIL"}]
    assert first["pageInfo"]["hasNextPage"]
    after = {"after": first["pageInfo"]["endCursor"]}
    second = (await api.data(query, after, token=phone["accessToken"]))["viewer"]["sessions"]
    assert second["nodes"] == [{"method": "DEVICE"}]
    assert not second["pageInfo"]["hasNextPage"]
    assert await api.code(query, after, token=(await registered(api))["accessToken"]) == "BAD_USER_INPUT"


async def test_last_used_is_when_it_was_last_refreshed(api: Api) -> None:
    phone = await registered(api)
    await api.conn.execute("UPDATE sessions SET refreshed_at = refreshed_at - interval '1 day'")
    [old] = await listed(api, phone["accessToken"])
    next_ = await refreshed(api, phone["refreshToken"])
    [new] = await listed(api, next_["accessToken"])
    assert new["id"] == old["id"]
    assert new["createdAt"] == old["createdAt"]
    moved = datetime.fromisoformat(new["lastUsedAt"]) - datetime.fromisoformat(old["lastUsedAt"])
    assert timedelta(hours=23, minutes=59) < moved < timedelta(days=1, minutes=1)


@pytest.mark.parametrize(("given", "kept"), [("", None), ("   ", None), ("P" * 60, "P" * 60), ("A\u0308iti", "Äiti")])
async def test_a_device_is_called_what_its_owner_calls_it(api: Api, given: str, kept: str | None) -> None:
    phone = await registered(api, deviceName=given)
    assert phone["viewer"]["sessions"]["nodes"][0]["deviceName"] == kept


async def test_a_device_name_of_61_code_points_is_too_long(api: Api) -> None:
    before = await contents(api.conn)
    asked = {"locale": "fi", "idempotencyKey": str(uuid4()), "deviceName": "🌲" * 61}
    payload = await api.mutate("registerDevice", asked, "accessToken")
    assert payload == {"accessToken": None, "errors": [{"code": "TOO_LONG", "field": ["input", "deviceName"]}]}
    assert await contents(api.conn) == before


async def test_one_session_is_ended_and_the_others_go_on(api: Api) -> None:
    phone = await registered(api)
    tablet = await another_device(api, phone)
    [lost] = [n["id"] for n in await listed(api, tablet) if not n["isCurrent"]]
    for _ in range(2):  # the answer may have been lost
        payload = await api.mutate("endSession", {"sessionId": lost}, "endedSessionIds", token=tablet)
        assert payload == {"endedSessionIds": [lost], "errors": []}
        assert (await api.post(SESSIONS, token=phone["accessToken"])).status_code == 401
    assert await api.code(
        "mutation ($i: RefreshSessionInput!) { refreshSession(input: $i) { accessToken } }",
        {"i": {"refreshToken": phone["refreshToken"]}},
    ) == ("UNAUTHENTICATED")
    assert [n["method"] for n in await listed(api, tablet)] == ["EMAIL"]
    assert await api.data(f'{{ node(id: "{lost}") {{ id }} }}', token=tablet) == {"node": None}
    assert await api.conn.fetchval("SELECT count(*) FROM revocations") == 1


async def test_somebody_elses_session_is_not_there(api: Api) -> None:
    phone, theirs = await registered(api), await registered(api)
    [id] = [n["id"] for n in theirs["viewer"]["sessions"]["nodes"]]
    foreign = await api.token(municipality=OTHER)
    before = await contents(api.conn)
    for token, slug, asked in (
        (phone["accessToken"], "ilola", id),
        (phone["accessToken"], "ilola", global_id("Session", uuid4())),
        (phone["accessToken"], "ilola", phone["viewer"]["resident"]["id"]),
        (foreign, OTHER, id),
    ):
        payload = await api.mutate(
            "endSession", {"sessionId": asked}, "endedSessionIds", token=token, heitto_municipality=slug
        )
        refusal = {"code": "NOT_FOUND", "field": ["input", "sessionId"]}
        assert payload == {"endedSessionIds": None, "errors": [refusal]}
    assert await contents(api.conn) == before
    assert len(await listed(api, theirs["accessToken"])) == 1


async def test_all_others_are_ended_or_all(api: Api) -> None:
    phone = await registered(api)
    tablet = await another_device(api, phone)
    ids = {n["isCurrent"]: n["id"] for n in await listed(api, tablet)}
    payload = await api.mutate("endAllSessions", {}, "endedSessionIds", token=tablet)
    assert payload["endedSessionIds"] == [ids[False]]
    assert (await api.post(SESSIONS, token=phone["accessToken"])).status_code == 401
    payload = await api.mutate("endAllSessions", {}, "endedSessionIds", token=tablet)
    assert payload["endedSessionIds"] == []
    payload = await api.mutate("endAllSessions", {"exceptCurrent": False}, "endedSessionIds", token=tablet)
    assert payload["endedSessionIds"] == [ids[True]]
    await api.app.state.pipeline.gate.services.revocations.look()
    assert (await api.post(SESSIONS, token=tablet)).status_code == 401
    assert await api.conn.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0


async def test_a_registration_is_not_repeated_once_somebody_was_signed_out(api: Api) -> None:
    key = str(uuid4())
    phone, again = await registered(api, idempotencyKey=key), await registered(api, idempotencyKey=key)
    assert again["viewer"]["resident"] == phone["viewer"]["resident"]
    await api.mutate("endAllSessions", {}, "errors { code }", token=phone["accessToken"])
    before = await contents(api.conn)
    query = "mutation ($i: RegisterDeviceInput!) { registerDevice(input: $i) { accessToken } }"
    assert await api.code(query, {"i": {"locale": "fi", "idempotencyKey": key}}) == "UNAUTHENTICATED"
    assert await contents(api.conn) == before


async def test_an_account_keeps_fifty_sessions_those_used_last(api: Api, database_url: str) -> None:
    await registered(api)
    least_used = await api.conn.fetch(
        """
        INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at)
        SELECT municipality_id, resident_id, '', now() - make_interval(mins => n), now() + interval '1 day'
        FROM sessions, generate_series(1, $1) AS n ORDER BY n RETURNING id
        """,
        MOST - 2,
    )
    [who] = {row["resident_id"] for row in await api.conn.fetch("SELECT resident_id FROM sessions")}
    pool, begun = await open_pool(database_url, size=4), asyncio.Barrier(4)

    async def sign_in() -> None:
        async with transaction(pool) as conn:
            await begun.wait()
            now = datetime.now(UTC)
            await start_session(
                conn,
                municipality_id=api.catalogue.id,
                resident_id=who,
                token_hash=os.urandom(32),
                now=now,
                expires_at=now + timedelta(days=90),
                method="DEVICE",
            )

    # One too many for each but the first, all at the same time.
    await asyncio.gather(*(sign_in() for _ in range(4)))
    await pool.close()
    ended = await api.conn.fetch("SELECT id FROM sessions WHERE ended_at IS NOT NULL")
    assert {row["id"] for row in ended} == {row["id"] for row in least_used[-3:]}
    assert await api.conn.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == MOST
    revoked = await api.conn.fetch("SELECT subject_id FROM revocations WHERE kind = 'SESSION'")
    assert {row["subject_id"] for row in revoked} == {row["id"] for row in ended}


async def test_what_is_over_is_forgotten_in_time(api: Api, database_url: str) -> None:
    """Sessions 30 days after their end, spent refresh tokens after 90 days, revocations an hour after they are over."""
    kept, ended, expired, fresh = [await registered(api) for _ in range(4)]
    spent = kept["refreshToken"]
    used = (await refreshed(api, spent))["refreshToken"]
    head = (await refreshed(api, used))["refreshToken"]
    await refreshed(api, head)

    def id(phone: Json) -> object:
        return parse_id(phone["viewer"]["sessions"]["nodes"][0]["id"])[1]

    await api.conn.execute(
        "UPDATE sessions SET ended_at = now() - interval '31 days' WHERE id = $1",
        id(ended),
    )
    await api.conn.execute(
        """
        UPDATE sessions SET refreshed_at = now() - interval '121 days', expires_at = now() - interval '31 days'
        WHERE id = $1
        """,
        id(expired),
    )
    await api.conn.execute("UPDATE sessions SET ended_at = now() - interval '29 days' WHERE id = $1", id(fresh))
    await api.conn.execute("UPDATE refresh_tokens SET issued_at = now() - interval '91 days'")
    await api.conn.execute(
        """
        INSERT INTO revocations (municipality_id, kind, subject_id, until)
        SELECT municipality_id, 'SESSION', id, now() - make_interval(mins => n * 40)
        FROM sessions, generate_series(1, 2) AS n
        """
    )
    pool = await open_pool(database_url, size=1)
    for _ in range(2):
        await prune(pool, api.settings)()
    await pool.close()
    left = await api.conn.fetch("SELECT id FROM sessions WHERE method = 'DEVICE'")
    assert {row["id"] for row in left} == {id(kept), id(fresh)}
    # Of the kept one the head and its child; of the ended one its head.
    assert await api.conn.fetchval("SELECT count(*) FROM refresh_tokens WHERE session_id = $1", id(kept)) == 2
    assert await api.conn.fetchval("SELECT count(*) FROM refresh_tokens") == 3
    assert await api.conn.fetchval("SELECT count(*) FROM revocations") == 4
    assert (await refreshed(api, head))["accessToken"]
    pool = await open_pool(database_url, size=1)
    await prune(pool, api.settings.model_copy(update={"device_days": 28}))()
    await pool.close()
    assert {row[0] for row in await api.conn.fetch("SELECT id FROM sessions WHERE method = 'DEVICE'")} == {id(kept)}
