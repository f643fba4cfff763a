"""What ties the end of a login to its beginning: good once, for ten minutes, for who began it, here."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode

import pytest

from backend.db.logins import prune_logins
from tests.contents import contents
from tests.login.idp import LOA3, REDIRECT, Idp, Json, Person

pytestmark = pytest.mark.anyio

OVER = [{"code": "INVALID", "field": ["input", "state"]}]
REFUSED = [{"code": "INVALID", "field": ["input", "code"]}]
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(autouse=True)
async def aino(idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T")


async def refused(person: Person, expected: list[Json], *, spent: bool = False, **input: str) -> None:
    """Completing is refused, and changes nothing; the login's beginning is used up where it is `spent`."""
    token, municipality = input.pop("token", ""), input.pop("municipality", "ilola")
    before = await contents(person.api.conn)
    assert (await person.complete(token=token, municipality=municipality, **input))["errors"] == expected
    now = await contents(person.api.conn)
    assert {table for table in now if now[table] != before[table]} == ({"login_attempts"} if spent else set())


async def test_a_state_is_good_once(person: Person) -> None:
    back = await person.code()
    assert (await person.complete(**back))["errors"] == []
    await refused(person, OVER, **back)
    fresh = await person.code()
    await refused(person, OVER, state=back["state"], code=fresh["code"])
    assert (await person.complete(**fresh))["errors"] == []


async def test_of_many_who_come_with_a_state_at_once_one_is_let_in(person: Person) -> None:
    back = await person.code()
    came = await asyncio.gather(*(person.complete(**back) for _ in range(12)))
    assert sorted(each["errors"] == [] for each in came) == [False] * 11 + [True]
    assert await person.api.conn.fetchval("SELECT count(*) FROM sessions WHERE method = 'OIDC'") == 1


async def test_a_code_is_good_once(person: Person) -> None:
    used, fresh = await person.code(), await person.code()
    assert (await person.complete(**used))["errors"] == []
    await refused(person, REFUSED, spent=True, state=fresh["state"], code=used["code"])


async def test_a_code_of_another_login_fits_no_state(person: Person) -> None:
    """Who slips a code of their own into somebody's app gains nothing: the verifier is another."""
    theirs, mine = await person.code(), await person.code()
    await refused(person, REFUSED, spent=True, state=mine["state"], code=theirs["code"])


async def test_a_code_of_another_client_fits_no_state(person: Person) -> None:
    theirs, mine = await person.code("julkinen"), await person.code()
    await refused(person, REFUSED, spent=True, state=mine["state"], code=theirs["code"])


async def test_a_state_ends_after_ten_minutes(person: Person) -> None:
    back = await person.code()
    left = "SELECT expires_at - now() FROM login_attempts"
    assert 595 < (await person.api.conn.fetchval(left)).total_seconds() <= 600
    await person.api.conn.execute("UPDATE login_attempts SET expires_at = now()")
    await refused(person, OVER, **back)


async def test_only_who_began_ends_it(person: Person) -> None:
    mine, another = await person.api.token(), await person.api.token()
    for began, ends in ((mine, another), (mine, ""), ("", mine)):
        back = await person.code(token=began)
        await refused(person, OVER, token=ends, **back)
        assert (await person.complete(token=began, **back))["errors"] == []


async def test_c1_a_state_of_another_municipality_is_none_here(person: Person) -> None:
    back = await person.code(municipality="muula")
    await refused(person, OVER, **back)
    await refused(person, OVER, state="never begun", code=back["code"])
    assert (await person.complete(municipality="muula", **back))["errors"] == []


async def test_a_state_nobody_made_is_refused_without_asking_the_provider(person: Person, idp: Idp) -> None:
    for state in ("", "x", "x" * 1000, "ä", "%", "' OR 1=1 --"):
        await refused(person, OVER, state=state, code="x")
    assert await idp.hits("/token") == 0


async def test_a_login_takes_a_code_or_an_id_token(person: Person) -> None:
    back = await person.code()
    for input in ({"state": back["state"]}, {**back, "idToken": "x"}):
        await refused(person, REFUSED, **input)
    for code in ("", "x" * 5000):
        await refused(person, REFUSED, state=back["state"], code=code)
    for token in ("", "x" * 40_000):
        await refused(person, [{"code": "INVALID", "field": ["input", "idToken"]}], state=back["state"], idToken=token)
    assert (await person.complete(**back))["errors"] == []


async def test_an_apps_own_verifier_must_be_the_one_it_began_with(person: Person, idp: Idp) -> None:
    back = await person.code("julkinen", codeChallenge=CHALLENGE)
    for verifier in ("", "v", "v" * 129, "ä" * 43):
        malformed = [{"code": "INVALID", "field": ["input", "codeVerifier"]}]
        await refused(person, malformed, **back, codeVerifier=verifier)
    await refused(person, REFUSED, spent=True, **back, codeVerifier="w" * 43)
    await refused(person, REFUSED, spent=True, **await person.code("julkinen", codeChallenge=CHALLENGE))
    back = await person.code("julkinen")
    await refused(person, REFUSED, spent=True, **back, codeVerifier=VERIFIER)
    assert await idp.hits("/token") == 0  # known without asking
    back = await person.code("julkinen", codeChallenge=CHALLENGE)
    assert (await person.complete(**back, codeVerifier=VERIFIER))["errors"] == []


async def test_what_cannot_begin_is_refused_by_name(person: Person, idp: Idp) -> None:
    before = await contents(person.api.conn)
    for input, code, field in (
        ({"providerId": "nobody"}, "NOT_FOUND", "providerId"),
        ({"providerId": ""}, "NOT_FOUND", "providerId"),
        ({"redirectUri": "https://app.example/login/"}, "INVALID", "redirectUri"),
        ({"redirectUri": "https://app.example.evil/login"}, "INVALID", "redirectUri"),
        ({"redirectUri": "HTTPS://app.example/login"}, "INVALID", "redirectUri"),
        ({"redirectUri": ""}, "INVALID", "redirectUri"),
        ({"codeChallenge": "short"}, "INVALID", "codeChallenge"),
        ({"codeChallenge": CHALLENGE + "="}, "INVALID", "codeChallenge"),
    ):
        asked = {"providerId": "tunnus", "redirectUri": REDIRECT, **input}
        begun = await person.api.mutate("beginLogin", asked, "state authorizationUrl")
        assert begun["errors"] == [{"code": code, "field": ["input", field]}], input
        assert begun["state"] is begun["authorizationUrl"] is None
    assert (await person.begin("vahva", municipality="muula"))["errors"][0]["code"] == "NOT_FOUND"
    assert await contents(person.api.conn) == before
    assert await idp.hits("/.well-known/openid-configuration") == 0


async def test_a_redirect_uri_of_an_app_is_as_good_where_state_and_code_are_not_enough(person: Person) -> None:
    """Another app may claim the scheme, and see both."""
    begun = await person.begin(redirectUri="example.app:/login")
    assert begun["errors"] == [{"code": "REQUIRED", "field": ["input", "codeChallenge"]}]
    assert await person.api.conn.fetchval("SELECT count(*) FROM login_attempts") == 0
    back = await person.code(redirectUri="example.app:/login", codeChallenge=CHALLENGE)
    assert (await person.complete(**back, codeVerifier=VERIFIER))["errors"] == []
    token = await person.api.token()
    back = await person.code(redirectUri="example.app:/login", token=token)
    assert (await person.complete(**back))["errors"] == [{"code": "INVALID", "field": ["input", "state"]}]
    assert (await person.complete(**back, token=token))["errors"] == []


async def test_what_was_begun_and_left_is_forgotten(person: Person) -> None:
    for _ in range(3):
        await person.begin()
    conn = person.api.conn
    kept = await conn.fetchval("SELECT max(state_hash) FROM login_attempts")
    await conn.execute("UPDATE login_attempts SET expires_at = now() - interval '1 s' WHERE state_hash <> $1", kept)
    await prune_logins(conn)
    assert await conn.fetchval("SELECT count(*) FROM login_attempts") == 1


async def test_neither_state_nor_verifier_nor_nonce_stands_in_the_database(person: Person) -> None:
    begun = await person.begin()
    rows = await person.api.conn.fetchval("SELECT string_agg(t::text, chr(10)) FROM login_attempts AS t")
    for secret in (begun["state"], begun["nonce"], begun["authorizationUrl"].split("code_challenge=")[1][:43]):
        assert secret not in rows
