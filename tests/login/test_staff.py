"""The municipality's own login: roles come and go with its claims, and officials are who holds their posts."""

from typing import Any
from uuid import UUID

import pytest

from backend.ids import global_id, parse_id
from tests.contents import contents
from tests.login.idp import LOA3, Idp, Json, Person

pytestmark = pytest.mark.anyio


async def post_holder(person: Person) -> Json:
    """Somebody who holds a post, with the address at work."""
    row = await person.api.conn.fetchrow(
        """
        SELECT o.id, o.name, o.email FROM officials AS o
        WHERE o.municipality_id = $1 AND o.email IS NOT NULL AND o.ended_at IS NULL ORDER BY o.id LIMIT 1
        """,
        person.api.catalogue.id,
    )
    assert row
    return dict(row)


async def staff(idp: Idp, *groups: str, sub: str = "virkailija", **claims: Any) -> None:  # Any: JSON
    await idp.person(sub, realm_access={"roles": list(groups)}, **claims)


async def entries(person: Person) -> list[tuple[str, UUID | None, str]]:
    rows = await person.api.conn.fetch("SELECT act, actor_id, details FROM audit_entries ORDER BY sequence")
    return [(row[0], row[1], row[2]) for row in rows]


async def test_roles_come_with_the_claims(person: Person, idp: Idp) -> None:
    await staff(idp, "it", "moderators", "something else")
    session = await person.log_in("kunta")
    assert session["viewer"]["roles"] == ["RESIDENT", "MODERATOR", "ADMINISTRATOR"]
    assert await entries(person) == [
        ("ROLE_GRANTED", None, '{"role":"ADMINISTRATOR","source":"kunta"}'),
        ("ROLE_GRANTED", None, '{"role":"MODERATOR","source":"kunta"}'),
    ]
    idea = await person.api.idea()
    hidden = await person.api.mutate(
        "hideIdea", {"ideaId": idea, "reason": "Mainos."}, "idea { id }", token=session["accessToken"]
    )
    assert hidden["errors"] == []


async def test_roles_go_at_the_next_login_and_at_once(person: Person, idp: Idp) -> None:
    await staff(idp, "it", "moderators")
    session = await person.log_in("kunta")
    await staff(idp, "it")
    assert (await person.log_in("kunta"))["viewer"]["roles"] == ["RESIDENT", "ADMINISTRATOR"]
    idea = await person.api.idea()
    hide = f'mutation {{ hideIdea(input: {{ideaId: "{idea}", reason: "x"}}) {{ idea {{ id }} }} }}'
    assert await person.api.code(hide, token=session["accessToken"]) == "FORBIDDEN"  # the older token's role is gone
    assert (await entries(person))[2:] == [("ROLE_REVOKED", None, '{"role":"MODERATOR","sources":["kunta"]}')]
    await staff(idp)
    assert (await person.log_in("kunta"))["viewer"]["roles"] == ["RESIDENT"]
    ids = await person.api.conn.fetch("SELECT DISTINCT subject_id FROM audit_entries")
    _, account = parse_id(session["viewer"]["resident"]["id"])
    assert [row[0] for row in ids] == [account]
    closed = "SELECT count(*) FROM revocations WHERE kind = 'ROLES' AND subject_id = $1"
    assert await person.api.conn.fetchval(closed, account) == 2  # at the first login nothing was open yet


async def test_a_login_that_changes_no_role_writes_nothing_about_roles(person: Person, idp: Idp) -> None:
    await staff(idp, "it")
    await person.log_in("kunta")
    before = await contents(person.api.conn)
    await person.log_in("kunta")
    now = await contents(person.api.conn)
    assert {table for table in now if now[table] != before[table]} <= {"sessions", "refresh_tokens", "identities"}


async def test_a_provider_takes_away_only_what_it_gave(person: Person, idp: Idp) -> None:
    await staff(idp, "it", "moderators")
    session = await person.log_in("kunta")
    _, account = parse_id(session["viewer"]["resident"]["id"])
    await person.api.conn.execute(
        "INSERT INTO resident_roles VALUES ($1, $2, 'MODERATOR', 'ADMINISTRATOR')",
        person.api.catalogue.id,
        account,
    )
    await staff(idp)
    assert (await person.log_in("kunta"))["viewer"]["roles"] == ["RESIDENT", "MODERATOR"]


async def test_odd_claims_give_no_role(person: Person, idp: Idp) -> None:
    for odd in (
        None,
        {},
        {"roles": None},
        {"roles": {"it": True}},
        {"roles": [["it"], 7, None]},
        "it",
        ["it"],
        {"roles": "it "},
    ):
        await idp.person("virkailija", realm_access=odd)
        assert (await person.log_in("kunta"))["viewer"]["roles"] == ["RESIDENT"], odd
    await idp.person("virkailija", realm_access={"roles": "it"})  # one is as good as a list of one
    assert (await person.log_in("kunta"))["viewer"]["roles"] == ["RESIDENT", "ADMINISTRATOR"]


async def test_a_provider_for_residents_gives_no_role(person: Person, idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T", realm_access={"roles": ["it"]}, roles=["ADMINISTRATOR"])
    assert (await person.log_in())["viewer"]["roles"] == ["RESIDENT"]
    assert await entries(person) == []


async def test_an_official_is_who_has_the_post_holders_address(person: Person, idp: Idp) -> None:
    holder = await post_holder(person)
    await staff(idp, "officials", email=holder["email"].upper(), email_verified=True)
    session = await person.log_in("kunta")
    assert session["viewer"]["official"] == {"name": holder["name"]}
    assert session["viewer"]["roles"] == ["RESIDENT", "OFFICIAL"]
    details = f'{{"official":"{holder["id"]}","role":"OFFICIAL","source":"kunta"}}'
    assert await entries(person) == [("ROLE_GRANTED", None, details)]
    await person.log_in("kunta")
    assert len(await entries(person)) == 1
    await staff(idp, email=holder["email"], email_verified=True)
    left = (await person.log_in("kunta"))["viewer"]
    assert (left["roles"], left["official"]) == (["RESIDENT"], None)


async def test_nobody_speaks_for_a_post_that_another_account_speaks_for(person: Person, idp: Idp) -> None:
    holder = await post_holder(person)
    await staff(idp, "officials", "moderators", email=holder["email"], email_verified=True)
    assert (await person.log_in("kunta"))["viewer"]["official"] == {"name": holder["name"]}
    await staff(idp, "officials", "moderators", sub="another", email=holder["email"], email_verified=True)
    another = (await person.log_in("kunta"))["viewer"]
    assert (another["roles"], another["official"]) == (["RESIDENT", "MODERATOR"], None)


async def test_an_address_ties_nobody_unless_it_is_verified_current_and_here(person: Person, idp: Idp) -> None:
    holder = await post_holder(person)
    for number, (groups, claims) in enumerate(
        [
            (["officials"], {"email": holder["email"]}),
            (["officials"], {"email": holder["email"], "email_verified": False}),
            (["officials"], {"email": holder["email"], "email_verified": "yes"}),
            (["officials"], {"email": [holder["email"]], "email_verified": True}),
            (["officials"], {"email": f"x{holder['email']}", "email_verified": True}),
            (["moderators"], {"email": holder["email"], "email_verified": True}),
            ([], {"email": holder["email"], "email_verified": True}),
        ]
    ):
        await staff(idp, *groups, sub=f"virkailija {number}", **claims)
        viewer = (await person.log_in("kunta"))["viewer"]
        assert (viewer["official"], "OFFICIAL" in viewer["roles"]) == (None, False), claims
    await person.api.conn.execute("UPDATE officials SET ended_at = now() WHERE id = $1", holder["id"])
    await staff(idp, "officials", sub="last", email=holder["email"], email_verified=True)
    assert (await person.log_in("kunta"))["viewer"]["official"] is None


async def test_who_is_the_post_holder_no_more_speaks_no_more_from_the_next_login_on(person: Person, idp: Idp) -> None:
    holder, api = await post_holder(person), person.api
    end = "UPDATE officials SET ended_at = CASE WHEN $2 THEN now() END WHERE id = $1"
    moved = {"email": "muualla@ilola.example", "email_verified": True}
    for ended, claims in ((True, {"email": holder["email"], "email_verified": True}), (False, moved)):
        await staff(idp, "officials", "it", email=holder["email"], email_verified=True)
        first = (await person.log_in("kunta"))["viewer"]
        assert (first["roles"], first["official"]) == (
            ["RESIDENT", "OFFICIAL", "ADMINISTRATOR"],
            {"name": holder["name"]},
        )
        await api.conn.execute(end, holder["id"], ended)
        await staff(idp, "officials", "it", **claims)
        left = (await person.log_in("kunta"))["viewer"]
        assert (left["roles"], left["official"]) == (["RESIDENT", "ADMINISTRATOR"], None), claims
        assert (await entries(person))[-1][::2] == ("ROLE_REVOKED", '{"role":"OFFICIAL","sources":["kunta"]}')
        await api.conn.execute(end, holder["id"], False)
    # By an administrator's word they go on, and the claim adds to it.
    id = parse_id(left["resident"]["id"])[1]
    administrator = await api.token("ADMINISTRATOR")
    asked = {
        "residentId": left["resident"]["id"],
        "role": "OFFICIAL",
        "officialId": global_id("Official", holder["id"]),
    }
    assert (await api.mutate("grantRole", asked, "__typename", token=administrator))["errors"] == []
    again = (await person.log_in("kunta"))["viewer"]
    assert (again["roles"], again["official"]) == (["RESIDENT", "OFFICIAL", "ADMINISTRATOR"], {"name": holder["name"]})
    sources = await api.conn.fetch("SELECT source FROM resident_roles WHERE resident_id = $1 AND role = 'OFFICIAL'", id)
    assert {row[0] for row in sources} == {"ADMINISTRATOR", "kunta"}


async def test_the_name_of_staff_is_that_of_their_login_and_residents_keep_theirs_to_themselves(
    person: Person, idp: Idp
) -> None:
    await staff(idp, "it", name="Ville Virkailija " + "x" * 100)
    shown = (await person.log_in("kunta"))["viewer"]["resident"]["displayName"]
    assert shown == ("Ville Virkailija " + "x" * 100)[:60]
    await idp.person("aino", acr=LOA3, hetu="131052-308T", name="Aino Kanerva", given_name="Aino")
    assert "Aino" not in (await person.log_in())["viewer"]["resident"]["displayName"]
