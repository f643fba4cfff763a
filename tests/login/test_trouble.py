"""A provider that rotates its keys, is away, is slow, or makes no sense: login fails clearly, all else goes on."""

import asyncio
import json
from base64 import urlsafe_b64encode

import pytest
from joserfc.jwk import RSAKey

from tests.contents import contents
from tests.login.idp import LOA3, Idp, Json, Person

pytestmark = pytest.mark.anyio

DISCOVERY, JWKS, TOKEN = "/.well-known/openid-configuration", "/jwks", "/token"
REFUSED = [{"code": "INVALID", "field": ["input", "code"]}]
COMPLETE = "mutation ($input: CompleteLoginInput!) { completeLogin(input: $input) { accessToken errors { code } } }"
BEGIN = "mutation ($input: BeginLoginInput!) { beginLogin(input: $input) { state errors { code } } }"


@pytest.fixture(autouse=True)
async def aino(idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T")


async def unavailable(person: Person, back: Json) -> None:
    """Says so, and changes nothing at all: the same may be tried again."""
    before = await contents(person.api.conn)
    answer = (await person.api.post(COMPLETE, {"input": back})).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]
    assert "login service" in answer["errors"][0]["message"]
    assert await contents(person.api.conn) == before


async def goes_on(person: Person, session: Json) -> None:
    """A session that was there before can be used and refreshed."""
    viewer = await person.api.data("{ viewer { strength } }", token=session["accessToken"])
    assert viewer["viewer"]["strength"] == "STRONG"
    asked = {"refreshToken": session["refreshToken"]}
    assert (await person.api.mutate("refreshSession", asked, "accessToken"))["errors"] == []


async def test_keys_rotate_without_a_restart_and_sessions_go_on(person: Person, idp: Idp) -> None:
    session = await person.log_in()
    await idp.order("rotate", alg="ES256")
    await idp.set(token={"claims": {"at_hash": None}})
    assert (await person.log_in())["errors"] == []
    assert await idp.hits(JWKS) == 2
    await goes_on(person, session)


async def test_of_many_logins_after_a_rotation_one_fetches_the_keys(person: Person, idp: Idp) -> None:
    begun = [await person.begin("julkinen") for _ in range(12)]
    await idp.order("rotate")
    for number, each in enumerate(begun):
        claims = {"client_id": "heitto-julkinen", "nonce": each["nonce"], "sub": f"resident {number}"}
        each["idToken"] = await idp.order("mint", **claims)
    came = await asyncio.gather(*(person.complete(state=each["state"], idToken=each["idToken"]) for each in begun))
    assert [each["errors"] for each in came] == [[]] * 12
    assert await idp.hits(JWKS) == await idp.hits(DISCOVERY) == 2


async def test_of_many_first_logins_one_fetches_anything(person: Person, idp: Idp) -> None:
    begun = await asyncio.gather(*(person.begin() for _ in range(20)))
    assert [each["errors"] for each in begun] == [[]] * 20
    assert await idp.hits(JWKS) == await idp.hits(DISCOVERY) == 1


async def test_d3_unknown_keys_make_no_fetch_storm(person: Person, idp: Idp) -> None:
    await person.log_in()
    for number in range(30):
        begun = await person.begin()
        await idp.set(token={"header": {"kid": f"made up {number}"}})
        token = await idp.order("mint", client_id="heitto", nonce=begun["nonce"])
        await person.complete(state=begun["state"], idToken=token)
    assert await idp.hits(JWKS) == await idp.hits(DISCOVERY) == 2


async def test_a_provider_that_is_away_lets_nobody_in_and_keeps_nobody_out(person: Person, idp: Idp) -> None:
    session, back = await person.log_in(), await person.code()
    await idp.order("down")
    await unavailable(person, back)
    await goes_on(person, session)
    await idp.order("up")
    assert (await person.complete(**back))["errors"] == []  # the person need not begin again


async def test_a_provider_that_was_never_there_is_asked_once_in_a_while(person: Person, idp: Idp) -> None:
    await idp.set(status={DISCOVERY: 503})
    asked = {"input": {"providerId": "tunnus", "redirectUri": "https://app.example/login"}}
    before = await contents(person.api.conn)
    answers = await asyncio.gather(*(person.api.post(BEGIN, asked) for _ in range(20)))
    answers += [await person.api.post(BEGIN, asked) for _ in range(20)]
    assert {answer.json()["errors"][0]["extensions"]["code"] for answer in answers} == {"UNAVAILABLE"}
    assert await idp.hits(DISCOVERY) == 1
    assert await contents(person.api.conn) == before


async def test_a_slow_provider_is_given_up_within_four_seconds_and_delays_nobody(person: Person, idp: Idp) -> None:
    session = await person.log_in()
    waiting = [await person.code() for _ in range(20)]  # more than there are connections to PostgreSQL
    await idp.set(slow={TOKEN: 15})
    before = await contents(person.api.conn)
    asked = asyncio.gather(*(person.api.post(COMPLETE, {"input": back}) for back in waiting))
    await asyncio.sleep(0.5)
    for _ in range(20):
        await goes_on_reading(person, session)
    assert not asked.done()
    pool = person.api.app.state.pipeline.gate.services.pool
    assert pool.get_idle_size() == pool.get_size()  # nobody who waits has taken one along
    codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in await asked]
    assert codes == ["UNAVAILABLE"] * 20
    assert await contents(person.api.conn) == before
    await idp.set(slow={})
    assert (await person.complete(**waiting[0]))["errors"] == []


async def goes_on_reading(person: Person, session: Json) -> None:
    data = await person.api.data("{ viewer { strength } }", token=session["accessToken"])
    assert data["viewer"]["strength"] == "STRONG"


async def test_a_slow_provider_keeps_nobody_from_another(person: Person, idp: Idp) -> None:
    """One client, one set of connections: what is slow is the path of one only."""
    waiting = [await person.code() for _ in range(20)]
    await idp.set(slow={TOKEN: 15})
    asked = asyncio.gather(*(person.complete(**back) for back in waiting), return_exceptions=True)
    await asyncio.sleep(0.2)
    begun = await person.begin("julkinen")
    token = await idp.order("mint", client_id="heitto-julkinen", nonce=begun["nonce"])
    assert (await person.complete(state=begun["state"], idToken=token))["errors"] == []
    assert not asked.done()
    await asked


async def test_a_set_of_keys_with_a_wrong_one_lets_nobody_in(person: Person, idp: Idp) -> None:
    await idp.order("publish_another_key")
    begun_with = await person.code()
    before = await contents(person.api.conn)
    assert (await person.complete(**begun_with))["errors"] == REFUSED
    now = await contents(person.api.conn)
    assert {table for table in now if now[table] != before[table]} == {"login_attempts"}


NONSENSE: dict[str, Json] = {
    "another issuer": {"metadata": {"issuer": "http://127.0.0.1:1"}},
    "the issuer with a slash": {"metadata": {"issuer": "ISSUER/"}},
    "keys in a file": {"metadata": {"jwks_uri": "file:///etc/passwd"}},
    "keys of somebody else, unsafely": {"metadata": {"jwks_uri": "http://metadata.example/latest"}},
    "keys at half an address": {"metadata": {"jwks_uri": "https://[::1"}},
    "keys nowhere": {"metadata": {"jwks_uri": None}},
    "a page that does something": {"metadata": {"authorization_endpoint": "javascript:alert(1)"}},
    "no place for codes": {"metadata": {"token_endpoint": 7}},
    "a redirection": {"status": {JWKS: 302}},
    "no keys": {"status": {JWKS: 404}},
    "an error": {"status": {DISCOVERY: 500}},
    "an empty answer": {"status": {JWKS: 200}},
    "a very long answer": {"metadata": {"padding": "x" * 300_000}},
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_a_provider_that_makes_no_sense_is_as_good_as_away(person: Person, idp: Idp, name: str) -> None:
    order = json.loads(json.dumps(NONSENSE[name]).replace("ISSUER", idp.issuer))
    await idp.set(**order)
    asked = {"input": {"providerId": "tunnus", "redirectUri": "https://app.example/login"}}
    answer = (await person.api.post(BEGIN, asked)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert await person.api.conn.fetchval("SELECT count(*) FROM login_attempts") == 0


@pytest.mark.parametrize(("status", "outcome"), [(400, "refused"), (401, "refused"), (429, "away"), (500, "away")])
async def test_a_failing_token_endpoint(person: Person, idp: Idp, status: int, outcome: str) -> None:
    back = await person.code()
    await idp.set(status={TOKEN: status})
    if outcome == "away":
        await unavailable(person, back)
        await idp.set(status={})
        assert (await person.complete(**back))["errors"] == []
    else:
        assert (await person.complete(**back))["errors"] == REFUSED


async def test_keys_of_other_kinds_are_passed_over(person: Person, idp: Idp) -> None:
    odd = [{"kty": "oct", "k": "AAAA", "kid": "a"}, {"kty": "EC"}, {"kty": "RSA", "n": 7}, {"kty": "none"}, 7, None]
    shared = {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "b", "use": "enc"}
    small = {"kty": "RSA", "n": urlsafe_b64encode(b"\xff" * 64).decode(), "e": "AQAB"}
    await idp.set(more_keys=[*odd, {"kty": ["RSA"]}, shared, small, {**small, "alg": "none"}])
    assert (await person.log_in())["errors"] == []


async def test_a_key_that_is_listed_twice_is_one(person: Person, idp: Idp) -> None:
    [key] = (await idp.client.get(f"{idp.issuer}{JWKS}")).json()["keys"]
    await idp.set(more_keys=[{**key, "alg": "PS256"}, {**key, "alg": "RS256"}])
    assert (await person.log_in())["errors"] == []


async def test_of_two_keys_with_one_name_neither_is_believed(person: Person, idp: Idp) -> None:
    [key] = (await idp.client.get(f"{idp.issuer}{JWKS}")).json()["keys"]
    another = {**RSAKey.generate_key(2048).as_dict(private=False), "kid": key["kid"], "use": "sig"}
    await idp.set(more_keys=[another])
    assert (await person.log_in())["errors"] == REFUSED
