"""C5, C6: who speaks for the municipality, who said so, and how it ends."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from backend.ids import global_id, parse_id
from tests.conftest import OTHER, Api

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
MEMBER = "member { resident { id displayName } strength roles { role source grantedAt } official { id } }"


async def id_of(api: Api, token: str) -> str:
    id: str = (await api.data("{ viewer { resident { id } } }", token=token))["viewer"]["resident"]["id"]
    return id


async def grant(api: Api, token: str, resident: str, role: str, **more: str) -> Json:
    return await api.mutate("grantRole", {"residentId": resident, "role": role, **more}, MEMBER, token=token)


async def revoke(api: Api, token: str, resident: str, role: str) -> Json:
    return await api.mutate("revokeRole", {"residentId": resident, "role": role}, MEMBER, token=token)


async def entries(api: Api) -> list[tuple[str, UUID | None, Json]]:
    """Act, actor and details of the audit log of Ilola."""
    rows = await api.conn.fetch(
        "SELECT act, actor_id, details FROM audit_entries WHERE municipality_id = $1 ORDER BY sequence",
        api.catalogue.id,
    )
    return [(row[0], row[1], orjson.loads(row[2])) for row in rows]


def held(payload: Json) -> list[tuple[str, str]]:
    return [(each["role"], each["source"]) for each in payload["member"]["roles"]]


def official(api: Api) -> str:
    """The last one in office in the general theme's department: the demo's accounts act as the others."""
    return global_id("Official", api.catalogue.officials_of(api.catalogue.general_theme.department_id)[-1].id)


async def revocations(api: Api) -> list[tuple[str, UUID]]:
    return [(row[0], row[1]) for row in await api.conn.fetch("SELECT kind, subject_id FROM revocations ORDER BY id")]


async def test_an_administrator_gives_a_role_and_takes_it_back(api: Api) -> None:
    administrator, somebody = await api.token("ADMINISTRATOR"), await api.token()
    whom, before = await id_of(api, somebody), await entries(api)
    given = await grant(api, administrator, whom, "MODERATOR")
    assert given["errors"] == []
    assert held(given) == [("MODERATOR", "ADMINISTRATOR")]
    assert given["member"]["roles"][0]["grantedAt"]
    assert await grant(api, administrator, whom, "MODERATOR") == given
    viewer = await api.data("{ viewer { roles } }", token=somebody)
    assert viewer["viewer"]["roles"] == ["RESIDENT", "MODERATOR"]
    taken = await revoke(api, administrator, whom, "MODERATOR")
    assert (taken["errors"], held(taken)) == ([], [])
    assert await revoke(api, administrator, whom, "MODERATOR") == taken
    actor = parse_id(await id_of(api, administrator))[1]
    assert (await entries(api))[len(before) :] == [
        ("ROLE_GRANTED", actor, {"role": "MODERATOR", "source": "ADMINISTRATOR"}),
        ("ROLE_REVOKED", actor, {"role": "MODERATOR", "sources": ["ADMINISTRATOR"]}),
    ]
    assert (await revocations(api))[-2:] == [("ROLES", parse_id(whom)[1])] * 2


async def test_c10_a_role_that_was_taken_opens_nothing_with_an_old_token(api: Api) -> None:
    administrator, moderator = await api.token("ADMINISTRATOR"), await api.token("MODERATOR")
    idea = await api.idea()
    await revoke(api, administrator, await id_of(api, moderator), "MODERATOR")
    hide = "mutation ($i: HideIdeaInput!) { hideIdea(input: $i) { errors { code } } }"
    assert await api.code(hide, {"i": {"ideaId": idea, "reason": "Mainos."}}, token=moderator) == "FORBIDDEN"


async def test_revoking_takes_what_every_source_gave(api: Api) -> None:
    administrator, moderator = await api.token("ADMINISTRATOR"), await api.token("MODERATOR")
    whom = await id_of(api, moderator)
    given = await grant(api, administrator, whom, "MODERATOR")
    assert held(given) == [("MODERATOR", "ADMINISTRATOR"), ("MODERATOR", "COMMAND")]
    assert held(await revoke(api, administrator, whom, "MODERATOR")) == []
    assert (await entries(api))[-1][2] == {"role": "MODERATOR", "sources": ["ADMINISTRATOR", "COMMAND"]}


async def test_c6_an_account_of_a_device_gets_no_role(api: Api) -> None:
    administrator, device = await api.token("ADMINISTRATOR"), await api.token(strength="DEVICE")
    whom, before = await id_of(api, device), await entries(api)
    refused = await grant(api, administrator, whom, "MODERATOR")
    assert refused == {"member": None, "errors": [{"code": "STRENGTH_TOO_LOW", "field": ["input", "residentId"]}]}
    assert await entries(api) == before
    assert (await api.data("{ viewer { roles } }", token=device))["viewer"]["roles"] == ["RESIDENT"]


async def test_an_official_is_tied_to_a_holder_of_a_post_and_untied_with_the_role(api: Api) -> None:
    administrator, somebody = await api.token("ADMINISTRATOR"), await api.token()
    whom, post = await id_of(api, somebody), official(api)
    given = await grant(api, administrator, whom, "OFFICIAL", officialId=post)
    assert given["member"]["official"] == {"id": post}
    assert (await entries(api))[-1][2]["official"] == str(parse_id(post)[1])
    # A coordinator's role goes with the same post, and stays with it.
    assert (await grant(api, administrator, whom, "COORDINATOR"))["member"]["official"] == {"id": post}
    assert (await revoke(api, administrator, whom, "OFFICIAL"))["member"]["official"] == {"id": post}
    assert (await revoke(api, administrator, whom, "COORDINATOR"))["member"]["official"] is None


async def test_who_was_granted_a_post_answers_for_its_department(api: Api) -> None:
    administrator, somebody = await api.token("ADMINISTRATOR"), await api.token(strength="STRONG")
    whom, idea = await id_of(api, somebody), await api.idea()
    await grant(api, administrator, whom, "OFFICIAL", officialId=official(api))
    [fresh] = await tokens_of(api, whom)
    asked = {"ideaId": idea, "kind": "RECEIPT", "body": "Luimme tämän.", "idempotencyKey": "0" * 32}
    answer = await api.mutate("respondToIdea", asked, "response { official { id } }", token=fresh)
    assert answer == {"response": {"official": {"id": official(api)}}, "errors": []}
    assert (await entries(api))[-1][0] == "RESPONDED"
    # Who has left the post can't speak as its holder any more.
    await api.conn.execute("UPDATE officials SET ended_at = now() WHERE id = $1", parse_id(official(api))[1])
    refused = await api.mutate("respondToIdea", asked | {"idempotencyKey": "1" * 32}, "response { id }", token=fresh)
    assert refused["errors"] == [{"code": "NOT_ALLOWED", "field": ["input", "ideaId"]}]


async def tokens_of(api: Api, resident: str) -> list[str]:
    from backend.commands import mint_tokens

    asked = {"role": "RESIDENT", "strength": "EMAIL", "count": 1, "department": "", "ttl": 3600}
    return await mint_tokens(api.settings, slug=api.catalogue.slug, resident=resident, **asked)  # type: ignore[arg-type] # of two types


async def test_a_token_that_a_command_makes_for_somebody_is_audited(api: Api) -> None:
    whom = await id_of(api, await api.token("MODERATOR"))
    before = await entries(api)
    await tokens_of(api, whom)
    row = await api.conn.fetchrow("SELECT actor_id, act, subject_id, details FROM audit_entries ORDER BY sequence DESC")
    assert row and tuple(row) == (None, "TOKEN_MADE", parse_id(whom)[1], '{"seconds":3600}')
    assert len(await entries(api)) == len(before) + 1


async def test_roles_and_posts_that_dont_go_together_are_refused(api: Api) -> None:
    administrator, somebody, other = await api.token("ADMINISTRATOR"), await api.token(), await api.token()
    whom, post = await id_of(api, somebody), official(api)
    gone = global_id("Official", list(api.catalogue.officials)[-1])
    await grant(api, administrator, await id_of(api, other), "OFFICIAL", officialId=post)
    await api.conn.execute("UPDATE officials SET ended_at = now() WHERE id = $1", parse_id(gone)[1])
    elsewhere = await api.conn.fetchval("SELECT id FROM officials WHERE municipality_id <> $1", api.catalogue.id)
    before = await entries(api)
    for asked, code, field in (
        ({"role": "RESIDENT"}, "INVALID", "role"),
        ({"role": "OFFICIAL"}, "REQUIRED", "officialId"),
        ({"role": "COORDINATOR"}, "REQUIRED", "officialId"),
        ({"role": "MODERATOR", "officialId": post}, "INVALID", "officialId"),
        ({"role": "OFFICIAL", "officialId": post}, "INVALID", "officialId"),
        ({"role": "OFFICIAL", "officialId": gone}, "INVALID", "officialId"),
        ({"role": "OFFICIAL", "officialId": global_id("Official", elsewhere)}, "NOT_FOUND", "officialId"),
        ({"role": "OFFICIAL", "officialId": whom}, "NOT_FOUND", "officialId"),
    ):
        refused = await grant(api, administrator, whom, **asked)
        assert refused == {"member": None, "errors": [{"code": code, "field": ["input", field]}]}, asked
    refused = await revoke(api, administrator, whom, "RESIDENT")
    assert refused["errors"] == [{"code": "INVALID", "field": ["input", "role"]}]
    assert await entries(api) == before


async def test_the_last_administrator_stays(api: Api) -> None:
    administrator, other = await api.token("ADMINISTRATOR"), await api.token("ADMINISTRATOR")
    await api.conn.execute("DELETE FROM resident_roles WHERE resident_id = ANY($1)", await demo_administrators(api))
    first, second = await id_of(api, administrator), await id_of(api, other)
    # Each takes the role from the other, at the same time: one of them stays.
    done = await asyncio.gather(
        revoke(api, administrator, second, "ADMINISTRATOR"), revoke(api, other, first, "ADMINISTRATOR")
    )
    assert sorted(len(each["errors"]) for each in done) == [0, 1]
    rows = await api.conn.fetch(
        "SELECT resident_id FROM resident_roles WHERE municipality_id = $1 AND role = 'ADMINISTRATOR'", api.catalogue.id
    )
    [left] = [row[0] for row in rows]
    token = administrator if left == parse_id(first)[1] else other
    refused = await revoke(api, token, global_id("Resident", left), "ADMINISTRATOR")
    assert refused == {"member": None, "errors": [{"code": "NOT_ALLOWED", "field": ["input", "role"]}]}
    # Of another municipality there may be as many as one likes.
    await api.token("ADMINISTRATOR", municipality=OTHER)
    assert (await revoke(api, token, global_id("Resident", left), "ADMINISTRATOR"))["errors"] != []


async def demo_administrators(api: Api) -> list[UUID]:
    rows = await api.conn.fetch(
        """
        SELECT a.resident_id FROM resident_roles AS a JOIN residents AS r ON r.id = a.resident_id
        WHERE a.municipality_id = $1 AND r.display_name <> 'Asukas'
        """,
        api.catalogue.id,
    )
    return [row[0] for row in rows]


async def test_staff_are_listed_by_age_and_role(api: Api) -> None:
    administrator = await api.token("ADMINISTRATOR")
    made = [await id_of(api, await api.token("MODERATOR")) for _ in range(3)]
    await id_of(api, await api.token())
    asked = "query ($after: String) { staff(filter: {role: MODERATOR}, first: 2, after: $after) "
    asked += "{ nodes { resident { id } } pageInfo { hasNextPage endCursor } } }"
    found: list[str] = []
    after = None
    while True:
        page = (await api.data(asked, {"after": after}, token=administrator))["staff"]
        found += [each["resident"]["id"] for each in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found[-3:] == made
    assert len(found) == len(set(found)) == 4  # the demo has one
    everybody = await api.data("{ staff(first: 100) { nodes { roles { role } } } }", token=administrator)
    assert all(each["roles"] for each in everybody["staff"]["nodes"])


async def test_what_commands_grant_is_in_the_audit_log(api: Api) -> None:
    before = len(await entries(api))
    await api.token()
    assert len(await entries(api)) == before
    await api.token("COORDINATOR")
    assert (await entries(api))[before:] == [("ROLE_GRANTED", None, {"role": "COORDINATOR", "source": "COMMAND"})]
