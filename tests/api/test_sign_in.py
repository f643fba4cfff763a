"""Signing in by identities: what a login that has proven something does with accounts, in the process's own words."""

import hashlib
from uuid import UUID, uuid4

import pytest

from backend.auth.identity import Identity
from backend.context import Context
from backend.ids import parse_id
from backend.resolvers.sign_in import Strength, sign_in
from backend.schema.sessions import SessionPayload
from backend.viewer import ANYBODY, Viewer
from tests.chaos.checks import miscounts
from tests.conftest import Api

pytestmark = pytest.mark.anyio


def person(name: str) -> Identity:
    return Identity("PERSON", hashlib.sha256(name.encode()).digest())


def email(name: str) -> Identity:
    return Identity("EMAIL", hashlib.sha256(name.encode()).digest(), f"{name}@example.fi")


async def signed_in(
    api: Api, *identities: Identity, caller: UUID | None = None, strength: Strength = "STRONG"
) -> SessionPayload:
    """As a login's resolver does it, for a caller with the token of an account or with none."""
    gate = api.app.state.pipeline.gate
    viewer = Viewer(caller) if caller else ANYBODY
    context = Context(gate.services, api.catalogue, viewer, "fi", "test", "192.0.2.1")
    return await sign_in(context, identities=identities, strength=strength, method="OIDC", locale="fi")


def whose(payload: SessionPayload) -> UUID:
    assert payload.viewer
    return payload.viewer.row.id


async def device(api: Api) -> tuple[str, UUID]:
    """A new device account: its token and its id."""
    asked = {"locale": "fi", "idempotencyKey": str(uuid4())}
    made = await api.mutate("registerDevice", asked, "accessToken viewer { resident { id } }")
    return made["accessToken"], parse_id(made["viewer"]["resident"]["id"])[1]


async def test_raising_counts_the_votes_of_before_and_their_moment_stays(api: Api) -> None:
    idea = await api.idea()
    token, id = await device(api)
    cast = (await api.set_vote(idea, token=token))["idea"]["viewerVote"]["castAt"]
    assert whose(await signed_in(api, person("aino"), caller=id)) == id
    seen = (
        "query ($id: ID!) { node(id: $id) { ... on Idea {"
        " voteCount votesByStrength { strength count } viewerVote { castAt strength } } } }"
    )
    told = (await api.data(seen, {"id": idea}, token=token))["node"]
    assert told["voteCount"] == 1
    assert {each["strength"]: each["count"] for each in told["votesByStrength"]}["STRONG"] == 1
    assert told["viewerVote"] == {"castAt": cast, "strength": "STRONG"}
    assert await miscounts(api.conn) == []


async def test_two_accounts_of_one_person_have_one_vote_on_an_idea(api: Api) -> None:
    idea = await api.idea()
    (first, a), (second, b) = await device(api), await device(api)
    for token in (first, second):
        await api.set_vote(idea, token=token)
    assert whose(await signed_in(api, person("aino"), caller=a)) == a
    assert whose(await signed_in(api, person("aino"), caller=b)) == a
    assert [row[0] for row in await api.conn.fetch("SELECT resident_id FROM votes")] == [a]
    assert await miscounts(api.conn) == []
    assert (
        await api.code(
            "mutation ($i: SetVoteInput!) { setVote(input: $i) { errors { code } } }",
            {"i": {"ideaId": idea, "voted": True}},
            token=second,
        )
        == "UNAUTHENTICATED"
    )


async def test_two_people_are_never_one_account(api: Api) -> None:
    a = whose(await signed_in(api, person("aino")))
    b = whose(await signed_in(api, person("bertta")))
    assert whose(await signed_in(api, person("bertta"), caller=a)) == b
    c = whose(await signed_in(api, person("cecilia"), caller=a))
    assert c not in (a, b)
    assert await api.conn.fetchval("SELECT count(*) FROM residents WHERE joined_into_id IS NOT NULL") == 0


async def test_who_comes_back_after_erasure_is_the_same_account_under_a_new_name(api: Api) -> None:
    a = whose(await signed_in(api, person("aino")))
    await api.conn.execute("UPDATE residents SET erased_at = now(), display_name = '-' WHERE id = $1", a)
    payload = await signed_in(api, person("aino"))
    assert whose(payload) == a
    assert payload.viewer and payload.viewer.row.display_name.startswith("Asukas ")
