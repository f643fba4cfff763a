"""C9: a mailed link to a role opens once, for seven days, for whoever reads mail there, and for no other account."""

import asyncio
import base64
import re
from email import message_from_bytes
from email.policy import SMTP
from typing import Any
from uuid import uuid4

import orjson
import pytest

from backend.auth.secrets import hash_secret
from backend.commands import CommandError
from backend.founding import invite_staff
from backend.ids import global_id, parse_id
from backend.mail.sealing import unseal
from tests.api.test_roles import entries, id_of, official, revoke
from tests.conftest import OTHER, Api
from tests.contents import contents

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
GONE = [{"code": "INVALID", "field": ["input", "secret"]}]
INVITED = "invitation { id email role official { id } invitedBy { id } }"
AINO = "aino@ilola.example"


async def invited(api: Api, token: str, role: str = "MODERATOR", email: str = AINO, **more: str) -> Json:
    asked = {"email": email, "role": role, "locale": "fi", "idempotencyKey": str(uuid4()), **more}
    return await api.mutate("inviteStaff", asked, INVITED, token=token)


async def accept(api: Api, secret: str, token: str = "", **headers: str) -> Json:
    selection = "accessToken viewer { resident { id displayName } roles strength official { id } }"
    return await api.mutate("acceptInvitation", {"secret": secret}, selection, token=token, **headers)


async def mailed(api: Api) -> list[tuple[str, str]]:
    """Address and secret of every invitation on its way, oldest first."""
    found = []
    for (payload,) in await api.conn.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = 'send_mail' ORDER BY id"):
        job = orjson.loads(payload)
        if job["template"] == "invitation":
            mail = orjson.loads(unseal(api.settings.secret_key, job["sealed"]))
            body = message_from_bytes(base64.b64decode(mail["content"]), policy=SMTP).get_body()
            assert body
            [secret] = re.findall(r"#invitation=(\S+)", body.get_content())
            found.append((mail["to"], secret))
    return found


async def test_who_opens_the_mailed_link_is_signed_in_with_the_role(api: Api) -> None:
    administrator, post = await api.token("ADMINISTRATOR"), official(api)
    made = await invited(api, administrator, "OFFICIAL", email=" Aino@Ilola.example", officialId=post)
    inviter = await id_of(api, administrator)
    assert made["errors"] == []
    assert made["invitation"] | {"id": ""} == {
        "id": "",
        "email": AINO,
        "role": "OFFICIAL",
        "official": {"id": post},
        "invitedBy": {"id": inviter},
    }
    [(address, secret)] = await mailed(api)
    assert address == AINO
    assert len(secret) == 43
    session = await accept(api, secret)
    assert session["errors"] == []
    viewer = session["viewer"]
    assert (viewer["roles"], viewer["strength"], viewer["official"]) == (
        ["RESIDENT", "OFFICIAL"],
        "EMAIL",
        {"id": post},
    )
    assert viewer["resident"]["displayName"] == api.catalogue.officials[parse_id(post)[1]].name
    assert await id_of(api, session["accessToken"]) == viewer["resident"]["id"]
    me, by = parse_id(viewer["resident"]["id"])[1], parse_id(inviter)[1]
    assert [(act, actor) for act, actor, _ in (await entries(api))[-3:]] == [
        ("STAFF_INVITED", by),
        ("ROLE_GRANTED", by),
        ("INVITATION_ACCEPTED", me),
    ]
    assert AINO not in str(await entries(api))
    assert await api.conn.fetchval("SELECT count(*) FROM invitations") == 0


async def test_c9_a_link_opens_once_also_when_opened_by_many_at_once(api: Api) -> None:
    await invited(api, await api.token("ADMINISTRATOR"))
    [(_, secret)] = await mailed(api)
    done = await asyncio.gather(*(accept(api, secret) for _ in range(4)))
    assert sorted(len(each["errors"]) for each in done) == [0, 1, 1, 1]
    before = await contents(api.conn)
    assert await accept(api, secret) == {"accessToken": None, "viewer": None, "errors": GONE}
    assert await contents(api.conn) == before


async def test_c9_a_link_is_kept_as_a_hash_and_ends(api: Api) -> None:
    administrator = await api.token("ADMINISTRATOR")
    id = (await invited(api, administrator))["invitation"]["id"]
    [(_, secret)] = await mailed(api)
    row = await api.conn.fetchrow("SELECT secret_hash, expires_at - created_at, invitations::text FROM invitations")
    assert row
    assert bytes(row[0]) == hash_secret(secret)
    assert abs(row[1].total_seconds() - 7 * 86_400) < 60
    assert secret not in row[2]
    for wrong in (secret[:-1], secret + "A", "", "ä" * 43, "\0"):
        payload = await api.post(
            "mutation ($i: AcceptInvitationInput!) { acceptInvitation(input: $i) { errors { code } } }",
            {"i": {"secret": wrong}},
        )
        assert "errors" in payload.text and "accessToken" not in payload.text
    # Here and nowhere else.
    assert (await accept(api, secret, heitto_municipality=OTHER))["errors"] == GONE
    await api.conn.execute("UPDATE invitations SET expires_at = now()")
    assert (await accept(api, secret))["errors"] == GONE
    assert (await api.data("{ invitations { nodes { id } } }", token=administrator))["invitations"]["nodes"] == []
    await api.conn.execute("UPDATE invitations SET expires_at = now() + interval '1 hour'")
    assert (await api.data("{ invitations { nodes { id } } }", token=administrator))["invitations"]["nodes"] == [
        {"id": id}
    ]
    gone = await api.mutate("withdrawInvitation", {"invitationId": id}, "withdrawnId", token=administrator)
    assert gone == {"withdrawnId": id, "errors": []}
    assert (await accept(api, secret))["errors"] == GONE
    again = await api.mutate("withdrawInvitation", {"invitationId": id}, "withdrawnId", token=administrator)
    assert again["errors"] == [{"code": "NOT_FOUND", "field": ["input", "invitationId"]}]


async def test_c9_whoever_opens_it_keeps_an_account_of_their_own(api: Api) -> None:
    """A link that an administrator mails to themselves must not open the account of whoever follows it."""
    administrator, somebody = await api.token("ADMINISTRATOR"), await api.token(strength="STRONG")
    await invited(api, administrator)
    [(_, secret)] = await mailed(api)
    session = await accept(api, secret, somebody)
    assert session["errors"] == []
    assert session["viewer"]["resident"]["id"] != await id_of(api, somebody)
    assert (await api.data("{ viewer { roles } }", token=somebody))["viewer"]["roles"] == ["RESIDENT"]
    # The next one for the same address is for the same account, also when its owner is signed in.
    await invited(api, administrator, "ADMINISTRATOR")
    _, (_, secret) = await mailed(api)
    again = await accept(api, secret, session["accessToken"])
    assert again["viewer"]["resident"] == session["viewer"]["resident"]
    assert again["viewer"]["roles"] == ["RESIDENT", "MODERATOR", "ADMINISTRATOR"]


async def test_nobody_is_invited_to_act_as_whom_another_account_acts_as(api: Api) -> None:
    administrator, post = await api.token("ADMINISTRATOR"), official(api)
    await invited(api, administrator, "OFFICIAL", officialId=post)
    [(_, secret)] = await mailed(api)
    assert (await accept(api, secret))["errors"] == []
    refused = await invited(api, administrator, "OFFICIAL", email="eino@ilola.example", officialId=post)
    assert refused == {"invitation": None, "errors": [{"code": "INVALID", "field": ["input", "officialId"]}]}
    assert len(await mailed(api)) == 1


async def test_one_key_sends_one_mail(api: Api) -> None:
    administrator, key = await api.token("ADMINISTRATOR"), str(uuid4())
    first = await invited(api, administrator, idempotencyKey=key)
    assert await invited(api, administrator, idempotencyKey=key) == first
    assert len(await mailed(api)) == 1
    other = await invited(api, administrator, role="ADMINISTRATOR", idempotencyKey=key)
    assert (
        other["errors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": ["input", "idempotencyKey"]}] or other["errors"]
    )


async def test_what_cant_be_granted_isnt_invited_to(api: Api) -> None:
    administrator = await api.token("ADMINISTRATOR")
    before = await contents(api.conn)
    for more, code, field in (
        ({"role": "RESIDENT"}, "INVALID", "role"),
        ({"role": "OFFICIAL"}, "REQUIRED", "officialId"),
        ({"role": "MODERATOR", "officialId": official(api)}, "INVALID", "officialId"),
        ({"email": "aino"}, "INVALID", "email"),
        ({"email": " "}, "REQUIRED", "email"),
    ):
        refused = await invited(api, administrator, **more)
        assert refused == {"invitation": None, "errors": [{"code": code, "field": ["input", field]}]}, more
    assert await contents(api.conn) == before


async def test_a_post_that_was_left_or_taken_meanwhile_is_given_to_nobody(api: Api) -> None:
    administrator, post = await api.token("ADMINISTRATOR"), official(api)
    await invited(api, administrator, "OFFICIAL", officialId=post)
    await invited(api, administrator, "OFFICIAL", email="eero@ilola.example", officialId=post)
    (_, first), (_, second) = await mailed(api)
    assert (await accept(api, first))["errors"] == []
    before = await contents(api.conn)
    assert (await accept(api, second))["errors"] == GONE
    assert await contents(api.conn) == before
    await api.conn.execute("UPDATE officials SET ended_at = now() WHERE id = $1", parse_id(post)[1])
    assert (await accept(api, second))["errors"] == GONE


async def test_invitations_go_with_the_role_of_who_invited(api: Api) -> None:
    administrator, other = await api.token("ADMINISTRATOR"), await api.token("ADMINISTRATOR")
    await invited(api, other)
    await revoke(api, administrator, await id_of(api, other), "ADMINISTRATOR")
    [(_, secret)] = await mailed(api)
    assert (await accept(api, secret))["errors"] == GONE


async def test_the_first_administrator_is_invited_by_a_command(api: Api) -> None:
    asked = {"slug": OTHER, "role": "ADMINISTRATOR", "email": AINO, "official": "", "locale": "fi"}
    link = await invite_staff(api.settings, **asked, show=True)
    secret = link.rpartition("#invitation=")[2]
    session = await accept(api, secret, heitto_municipality=OTHER)
    assert session["viewer"]["roles"] == ["RESIDENT", "ADMINISTRATOR"]
    rows = await api.conn.fetch(
        "SELECT act, actor_id FROM audit_entries WHERE municipality_id <> $1 ORDER BY sequence", api.catalogue.id
    )
    me = parse_id(session["viewer"]["resident"]["id"])[1]
    assert [tuple(row) for row in rows] == [
        ("STAFF_INVITED", None),
        ("ROLE_GRANTED", None),
        ("INVITATION_ACCEPTED", me),
    ]
    assert await mailed(api) == []
    told = await invite_staff(api.settings, **asked | {"slug": "ilola"}, show=False)
    assert told == f"mailed to {AINO}: good once, for seven days"
    assert [address for address, _ in await mailed(api)] == [AINO]
    for wrong, why in (
        ({"email": "aino"}, "email: "),
        ({"role": "OFFICIAL"}, "officialId: "),
        ({"slug": "x"}, "no municipality"),
        ({"role": "OFFICIAL", "official": global_id("Official", uuid4())}, "officialId: "),
    ):
        with pytest.raises(CommandError, match=why):
            await invite_staff(api.settings, **asked | wrong, show=True)


async def test_c5_who_becomes_another_within_a_document_does_the_rest_of_it_by_their_roles(api: Api) -> None:
    """Else an administrator's acts would be somebody else's in the audit log: a new account's, or nobody's."""
    administrator, whom = await api.token("ADMINISTRATOR"), await id_of(api, await api.token())
    role = {"residentId": whom, "role": "MODERATOR"}
    for address in (AINO, "eino@ilola.example"):
        await invited(api, administrator, "OFFICIAL", email=address, officialId=official(api))
    [(_, taken), (_, late)] = await mailed(api)
    assert (await accept(api, taken))["errors"] == []
    told = await entries(api)
    document = """mutation ($first: %s!, $role: GrantRoleInput!) {
      %s(input: $first) { accessToken errors { code } } grantRole(input: $role) { errors { code } }
    }"""
    device = {"locale": "fi", "idempotencyKey": str(uuid4())}
    asked = document % ("RegisterDeviceInput", "registerDevice")
    answer = (await api.post(asked, {"first": device, "role": role}, token=administrator)).json()
    assert answer["data"]["registerDevice"]["accessToken"] and answer["data"]["grantRole"] is None
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    # Of an invitation that is refused at its last step: the post is taken.
    asked = document % ("AcceptInvitationInput", "acceptInvitation")
    answer = (await api.post(asked, {"first": {"secret": late}, "role": role}, token=administrator)).json()
    assert answer["data"] == {
        "acceptInvitation": {"accessToken": None, "errors": [{"code": "INVALID"}]},
        "grantRole": None,
    }
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]
    assert await entries(api) == told
