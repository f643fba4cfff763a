"""Passkeys of staff, by an authenticator in software that does all that a real one does."""

import asyncio
from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import orjson
import pytest

from backend.ids import parse_id
from backend.settings import Settings
from tests.api.test_roles import id_of
from tests.authenticator import Authenticator, decoded, encoded
from tests.conftest import OTHER, Api
from tests.contents import contents

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
HERE, ALSO_HERE, THERE = "https://ilola.example", "https://app.ilola.example:8443", "https://muula.example"
REFUSED = [{"code": "INVALID", "field": ["input", "credential"]}]
SPENT = [{"code": "INVALID", "field": ["input", "challengeId"]}]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"passkey_origins": {HERE: "ilola", ALSO_HERE: "ilola", THERE: OTHER}})


async def begin(api: Api, step: str, origin: str = HERE, *, token: str = "", **headers: str) -> tuple[str, str]:
    made = await api.mutate(step, {"origin": origin}, "challengeId options", token=token, **headers)
    assert made["errors"] == []
    return made["challengeId"], made["options"]


async def add(api: Api, token: str, key: Authenticator, name: str = "Puhelin", **changes: Any) -> Json:  # Any: as told
    origin = changes.pop("origin", HERE)
    challenge, options = await begin(api, "beginPasskeyRegistration", token=token)
    asked = {"challengeId": challenge, "credential": key.create(options, origin, **changes), "name": name}
    return await api.mutate("finishPasskeyRegistration", asked, "passkey { id name lastUsedAt }", token=token)


async def login(api: Api, key: Authenticator, **changes: Any) -> Json:  # Any: as told
    origin = changes.pop("origin", HERE)
    challenge, options = await begin(api, "beginPasskeyLogin")
    return await finish(api, challenge, key.get(options, origin, **changes))


async def finish(api: Api, challenge: str, credential: str, **headers: str) -> Json:
    asked = {"challengeId": challenge, "credential": credential}
    selection = "accessToken viewer { resident { id } roles strength }"
    return await api.mutate("finishPasskeyLogin", asked, selection, **headers)


async def kept(api: Api) -> dict[str, str]:
    """All that a refusal must leave as it was: challenges are spent by it."""
    return {table: rows for table, rows in (await contents(api.conn)).items() if table != "passkey_challenges"}


async def acts(api: Api) -> list[tuple[str, UUID, UUID]]:
    rows = await api.conn.fetch(
        "SELECT act, actor_id, subject_id FROM audit_entries WHERE act LIKE 'PASSKEY%' ORDER BY sequence"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
@pytest.mark.parametrize("attestation", ["none", "packed"])
async def test_staff_add_a_passkey_and_sign_in_with_it(api: Api, algorithm: Any, attestation: str) -> None:
    token, key = await api.token("MODERATOR"), Authenticator(algorithm)
    added = await add(api, token, key, attestation=attestation)
    assert added["errors"] == []
    mine = "{ viewer { resident { id } passkeys { id name createdAt lastUsedAt } } }"
    viewer = (await api.data(mine, token=token))["viewer"]
    assert [each["name"] for each in viewer["passkeys"]] == ["Puhelin"]
    assert viewer["passkeys"][0]["lastUsedAt"] is None
    for _ in range(2):
        session = await login(api, key)
        assert session["errors"] == []
        assert session["viewer"] == {
            "resident": viewer["resident"],
            "roles": ["RESIDENT", "MODERATOR"],
            "strength": "EMAIL",
        }
    used = await api.data(mine, token=session["accessToken"])
    assert used["viewer"]["passkeys"][0]["lastUsedAt"]
    assert await api.conn.fetchval("SELECT count(*) FROM sessions WHERE method = 'PASSKEY'") == 2
    me = parse_id(viewer["resident"]["id"])[1]
    assert await acts(api) == [("PASSKEY_ADDED", me, me)]


async def test_options_ask_for_a_verified_user_and_tell_nobodys_name(api: Api) -> None:
    token = await api.token("OFFICIAL")
    _, options = await begin(api, "beginPasskeyRegistration", token=token)
    asked = orjson.loads(options)
    assert asked["rp"] == {"id": "ilola.example", "name": "Ilola"}
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert {each["alg"] for each in asked["pubKeyCredParams"]} == {-8, -7, -257}
    await add(api, token, Authenticator())
    _, options = await begin(api, "beginPasskeyLogin", ALSO_HERE)
    asked = orjson.loads(options)
    assert (asked["rpId"], asked["userVerification"]) == ("app.ilola.example", "required")
    assert asked.get("allowCredentials", []) == []
    assert len(decoded(asked["challenge"])) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": THERE},
        {"origin": "https://evil.example"},
        {"origin": "http://ilola.example"},
        {"origin": ALSO_HERE},  # of another host than the one signed for
        {"rp_id": "evil.example"},
        {"rp_id": "muula.example"},
        {"challenge": encoded(b"0" * 32)},
        {"type": "webauthn.create"},
    ],
    ids=str,
)
async def test_what_was_signed_for_something_else_signs_nobody_in(api: Api, changes: Json) -> None:
    key = Authenticator()
    await add(api, await api.token("MODERATOR"), key)
    before = await kept(api)
    refused = await login(api, key, **changes)
    assert refused == {"accessToken": None, "viewer": None, "errors": REFUSED}
    assert await kept(api) == before
    assert (await login(api, key))["errors"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": THERE},
        {"origin": "https://evil.example"},
        {"origin": ALSO_HERE},
        {"rp_id": "evil.example"},
        {"challenge": encoded(b"0" * 32)},
        {"type": "webauthn.get"},
        {"attestation": "fido-u2f"},
        {"attestation": "nonsense"},
    ],
    ids=str,
)
async def test_what_was_made_for_something_else_is_no_passkey(api: Api, changes: Json) -> None:
    token = await api.token("MODERATOR")
    before = await kept(api)
    assert await add(api, token, Authenticator(), **changes) == {"passkey": None, "errors": REFUSED}
    assert await kept(api) == before


async def test_an_authenticator_that_didnt_verify_its_user_is_refused(api: Api) -> None:
    token, careless = await api.token("MODERATOR"), Authenticator(verifies=False)
    assert (await add(api, token, careless))["errors"] == REFUSED
    key = Authenticator()
    await add(api, token, key)
    key.verifies = False
    assert (await login(api, key))["errors"] == REFUSED
    key.verifies = True
    assert (await login(api, key))["errors"] == []


async def test_a_signature_is_good_once_and_not_at_all_when_changed(api: Api) -> None:
    key = Authenticator()
    await add(api, await api.token("MODERATOR"), key)
    challenge, options = await begin(api, "beginPasskeyLogin")
    credential = key.get(options, HERE)
    twice = await asyncio.gather(*(finish(api, challenge, credential) for _ in range(4)))
    assert sorted(len(each["errors"]) for each in twice) == [0, 1, 1, 1]
    assert (await finish(api, challenge, credential))["errors"] == SPENT
    # The same with a new challenge is signed for the old one.
    other, _ = await begin(api, "beginPasskeyLogin")
    assert (await finish(api, other, credential))["errors"] == REFUSED
    for part in ("signature", "authenticatorData", "clientDataJSON"):
        challenge, options = await begin(api, "beginPasskeyLogin")
        sent = orjson.loads(key.get(options, HERE))
        raw = bytearray(decoded(sent["response"][part]))
        raw[-2] ^= 1
        sent["response"][part] = encoded(bytes(raw))
        assert (await finish(api, challenge, orjson.dumps(sent).decode()))["errors"] == REFUSED, part
        # And the try has spent the challenge.
        assert (await finish(api, challenge, key.get(options, HERE)))["errors"] == SPENT


async def test_a_count_that_doesnt_rise_is_a_copys(api: Api) -> None:
    key = Authenticator()
    await add(api, await api.token("MODERATOR"), key)
    key.count = 10
    assert (await login(api, key))["errors"] == []
    for before in (9, 10):  # each signature counts one more: 10 is lower than what was kept, 11 the same
        key.count = before
        assert (await login(api, key))["errors"] == REFUSED
    key.count = 11
    assert (await login(api, key))["errors"] == []


async def test_an_authenticator_that_counts_nothing_is_good(api: Api) -> None:
    key = Authenticator(counts=False)
    await add(api, await api.token("MODERATOR"), key)
    for _ in range(2):
        assert (await login(api, key))["errors"] == []


async def test_a_removed_passkey_opens_nothing_and_only_its_owner_removes_it(api: Api) -> None:
    token, other, key = await api.token("MODERATOR"), await api.token("ADMINISTRATOR"), Authenticator()
    id = (await add(api, token, key))["passkey"]["id"]
    gone = await api.mutate("removePasskey", {"passkeyId": id}, "passkey { name }", token=other)
    assert gone == {"passkey": None, "errors": [{"code": "NOT_FOUND", "field": ["input", "passkeyId"]}]}
    gone = await api.mutate("removePasskey", {"passkeyId": id}, "passkey { name }", token=token)
    assert gone == {"passkey": {"name": "Puhelin"}, "errors": []}
    assert (await login(api, key))["errors"] == REFUSED
    assert [act for act, _, _ in await acts(api)] == ["PASSKEY_ADDED", "PASSKEY_REMOVED"]


async def test_c1_a_passkey_of_another_municipality_is_unknown_here(api: Api) -> None:
    key, elsewhere = Authenticator(), {"heitto_municipality": OTHER}
    await add(api, await api.token("MODERATOR"), key)
    challenge, options = await begin(api, "beginPasskeyLogin", THERE, **elsewhere)
    refused = await finish(api, challenge, key.get(options, THERE), **elsewhere)
    assert refused["errors"] == REFUSED
    unknown = await finish(
        api,
        (await begin(api, "beginPasskeyLogin", THERE, **elsewhere))[0],
        Authenticator().get(options, THERE),
        **elsewhere,
    )
    assert unknown == refused
    # Nor is a challenge of one good in the other.
    challenge, options = await begin(api, "beginPasskeyLogin", THERE, **elsewhere)
    assert (await finish(api, challenge, key.get(options, HERE)))["errors"] == SPENT
    asked = await api.mutate("beginPasskeyLogin", {"origin": THERE}, "options")
    assert asked == {"options": None, "errors": [{"code": "INVALID", "field": ["input", "origin"]}]}


async def test_only_staff_add_passkeys_and_each_in_their_own_account(api: Api) -> None:
    resident, moderator, other = await api.token(), await api.token("MODERATOR"), await api.token("MODERATOR")
    query = "mutation ($i: BeginPasskeyRegistrationInput!) { beginPasskeyRegistration(input: $i) { options } }"
    assert await api.code(query, {"i": {"origin": HERE}}, token=resident) == "FORBIDDEN"
    assert await api.code(query, {"i": {"origin": HERE}}) == "UNAUTHENTICATED"
    challenge, options = await begin(api, "beginPasskeyRegistration", token=moderator)
    asked = {"challengeId": challenge, "credential": Authenticator().create(options, HERE), "name": "Avain"}
    assert (await api.mutate("finishPasskeyRegistration", asked, "passkey { id }", token=other))["errors"] == SPENT
    # Nor does what was asked for a login make a passkey, or the other way round.
    login_challenge, _ = await begin(api, "beginPasskeyLogin")
    mixed = await api.mutate(
        "finishPasskeyRegistration", asked | {"challengeId": login_challenge}, "passkey { id }", token=moderator
    )
    assert mixed["errors"] == SPENT
    assert (await api.mutate("finishPasskeyRegistration", asked, "passkey { id }", token=moderator))["errors"] == []


async def test_a_credential_is_one_accounts_and_an_account_has_twenty_at_most(api: Api) -> None:
    token, other, key = await api.token("MODERATOR"), await api.token("MODERATOR"), Authenticator()
    await add(api, token, key)
    assert (await add(api, other, key))["errors"] == REFUSED
    for _ in range(19):
        assert (await add(api, token, Authenticator()))["errors"] == []
    assert (await add(api, token, Authenticator()))["errors"] == [{"code": "LIMIT_REACHED", "field": None}]


async def test_a_challenge_ends_after_five_minutes(api: Api) -> None:
    key = Authenticator()
    await add(api, await api.token("MODERATOR"), key)
    challenge, options = await begin(api, "beginPasskeyLogin")
    await api.conn.execute("UPDATE passkey_challenges SET expires_at = expires_at - interval '5 minutes'")
    assert (await finish(api, challenge, key.get(options, HERE)))["errors"] == SPENT


async def test_a_passkey_goes_with_its_account_into_another(api: Api) -> None:
    token, survivor, key = await api.token("MODERATOR"), await api.token(), Authenticator()
    await add(api, token, key)
    joined, other = [await id_of(api, each) for each in (token, survivor)]
    await api.conn.execute("UPDATE passkeys SET resident_id = $1", parse_id(other)[1])
    await api.conn.execute(
        "UPDATE residents SET joined_into_id = $1 WHERE id = $2", parse_id(other)[1], parse_id(joined)[1]
    )
    assert (await login(api, key))["viewer"]["resident"]["id"] == other


async def test_who_was_erased_signs_in_no_more(api: Api) -> None:
    token, key = await api.token("MODERATOR"), Authenticator()
    await add(api, token, key)
    await api.conn.execute("UPDATE residents SET erased_at = now() WHERE id = (SELECT resident_id FROM passkeys)")
    assert (await login(api, key))["errors"] == REFUSED


NONSENSE = (
    "",
    "x",
    "{}",
    "[]",
    "null",
    "7",
    '"x"',
    "[" * 10_000,
    '{"a":' * 3_000,
    "x" * 100_000,
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "%s", "attestationObject": "%s", '
    '"authenticatorData": "%s", "signature": "%s"}}' % ((urlsafe_b64encode(b"\x9f" * 3_000).decode(),) * 4),
)


async def test_nonsense_is_refused_like_everything_else(api: Api) -> None:
    token = await api.token("MODERATOR")
    for credential in NONSENSE:
        challenge, _ = await begin(api, "beginPasskeyLogin")
        assert (await finish(api, challenge, credential))["errors"] == REFUSED, credential[:50]
        challenge, _ = await begin(api, "beginPasskeyRegistration", token=token)
        asked = {"challengeId": challenge, "credential": credential, "name": "Avain"}
        refused = await api.mutate("finishPasskeyRegistration", asked, "passkey { id }", token=token)
        assert refused["errors"] == REFUSED, credential[:50]
