"""The audit log in the API: for administrators, newest first."""

from uuid import uuid4

import orjson
import pytest

from backend.db.audit import record
from backend.ids import parse_id
from tests.conftest import OTHER, Api

pytestmark = pytest.mark.anyio

ENTRIES = """query ($first: Int, $after: String) { auditEntries(first: $first, after: $after) {
  nodes { sequence at act subjectId details hash actor { displayName } }
  edges { cursor } pageInfo { hasNextPage endCursor } } }"""


async def test_entries_tell_who_did_what_to_whom_newest_first(api: Api) -> None:
    administrator, resident = await api.token("ADMINISTRATOR"), await api.token()
    viewer = await api.data("{ viewer { resident { id displayName } } }", token=resident)
    id, name = viewer["viewer"]["resident"]["id"], viewer["viewer"]["resident"]["displayName"]
    idea = await api.idea()
    subjects = [parse_id(idea)[1], parse_id(id)[1], uuid4(), None]
    before = await api.conn.fetchval("SELECT count(*) FROM audit_entries")
    for number, subject in enumerate(subjects):
        await record(
            api.conn,
            municipality_id=api.catalogue.id,
            actor_id=parse_id(id)[1] if number else None,
            act=f"DONE_{'ABCD'[number]}",
            subject_id=subject,
            details={"number": number},
        )
    entries = (await api.data(ENTRIES, {"first": 4}, token=administrator))["auditEntries"]
    told = entries["nodes"]
    assert [entry["sequence"] for entry in told] == [before + n for n in (4, 3, 2, 1)]
    assert [entry["act"] for entry in told] == ["DONE_D", "DONE_C", "DONE_B", "DONE_A"]
    assert [entry["subjectId"] for entry in told] == [None, None, id, idea]
    assert [entry["actor"] for entry in told] == [*[{"displayName": name}] * 3, None]
    assert [orjson.loads(entry["details"]) for entry in told] == [{"number": n} for n in (3, 2, 1, 0)]
    hashes = await api.conn.fetch("SELECT encode(hash, 'hex') FROM audit_entries ORDER BY sequence DESC LIMIT 4")
    assert [entry["hash"] for entry in told] == [row[0] for row in hashes]

    first = (await api.data(ENTRIES, {"first": 2}, token=administrator))["auditEntries"]
    assert first["nodes"] == told[:2] and first["pageInfo"]["hasNextPage"]
    after = {"first": 2, "after": first["pageInfo"]["endCursor"]}
    assert (await api.data(ENTRIES, after, token=administrator))["auditEntries"]["nodes"] == told[2:]


async def test_who_has_been_forgotten_is_no_actor_any_more(api: Api) -> None:
    administrator, actor = await api.token("ADMINISTRATOR"), await api.token()
    id = (await api.data("{ viewer { resident { id } } }", token=actor))["viewer"]["resident"]["id"]
    await record(api.conn, municipality_id=api.catalogue.id, actor_id=parse_id(id)[1], act="DONE")
    await api.conn.execute("UPDATE residents SET erased_at = now() WHERE id = $1", parse_id(id)[1])
    [entry] = (await api.data(ENTRIES, {"first": 1}, token=administrator))["auditEntries"]["nodes"]
    assert entry["actor"] is None


async def test_only_administrators_of_the_municipality_read_them(api: Api) -> None:
    await record(api.conn, municipality_id=api.catalogue.id, actor_id=None, act="DONE")
    for role in ("RESIDENT", "OFFICIAL", "COORDINATOR", "MODERATOR"):
        assert await api.code(ENTRIES, token=await api.token(role)) == "FORBIDDEN"
    assert await api.code(ENTRIES) == "UNAUTHENTICATED"
    elsewhere = await api.token("ADMINISTRATOR", municipality=OTHER)
    entries = (await api.data(ENTRIES, token=elsewhere))["auditEntries"]["nodes"]
    assert "DONE" not in [entry["act"] for entry in entries]
    assert await api.code(ENTRIES, token=elsewhere, heitto_municipality="ilola") == "WRONG_MUNICIPALITY"
