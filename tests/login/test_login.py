"""Logging in with a real provider, from the app's first call to its tokens."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import Api
from tests.contents import contents
from tests.login.idp import LOA2, LOA3, REDIRECT, Idp, Person

pytestmark = pytest.mark.anyio
HETU = "131052-308T"


async def test_the_ways_to_log_in_are_listed_without_their_secrets(person: Person, api: Api) -> None:
    query = "{ municipality { loginProviders { id name serves highestStrength } } }"
    listed = (await api.data(query, accept_language="sv"))["municipality"]["loginProviders"]
    assert listed == [
        {"id": "tunnus", "name": "Identifiering", "serves": "RESIDENTS", "highestStrength": "STRONG"},
        {"id": "vahva", "name": "Bank", "serves": "RESIDENTS", "highestStrength": "STRONG"},
        {"id": "kunta", "name": "Ilolan kunta", "serves": "STAFF", "highestStrength": "STRONG"},
        {"id": "julkinen", "name": "Julkinen", "serves": "RESIDENTS", "highestStrength": "EMAIL"},
    ]
    elsewhere = await api.data(query, heitto_municipality="muula")
    assert [each["id"] for each in elsewhere["municipality"]["loginProviders"]] == ["tunnus"]


async def test_a_resident_logs_in_and_is_the_same_the_next_time(person: Person, idp: Idp) -> None:
    await idp.person("aino", hetu=HETU, acr=LOA3)
    first = await person.log_in()
    assert first["errors"] == []
    assert (first["viewer"]["strength"], first["viewer"]["roles"]) == ("STRONG", ["RESIDENT"])
    again = await person.log_in()
    assert again["viewer"]["resident"] == first["viewer"]["resident"]
    assert again["accessToken"] != first["accessToken"]


async def test_one_person_is_one_account_whichever_provider_vouches(person: Person, idp: Idp) -> None:
    await idp.person("aino", hetu=HETU, acr=LOA3)
    first = await person.log_in("tunnus")
    await idp.person("aino at the bank", hetu=HETU.lower(), acr=LOA3)
    assert (await person.log_in("vahva"))["viewer"]["resident"] == first["viewer"]["resident"]
    await idp.person("somebody else", hetu="010190-999P", acr=LOA3)
    assert (await person.log_in("vahva"))["viewer"]["resident"] != first["viewer"]["resident"]


async def test_no_personal_identity_code_and_no_code_of_the_provider_is_stored(person: Person, idp: Idp) -> None:
    await idp.person("aino-at-the-provider", hetu=HETU, acr=LOA3, name="Aino Kanerva", email="aino@example.org")
    back = await person.code()
    assert (await person.complete(**back))["errors"] == []
    sought = [HETU, "aino-at-the-provider", "Kanerva", "aino@example.org", back["state"], back["code"]]
    for (table,) in await person.api.conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows = await person.api.conn.fetchval(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" AS t')  # noqa: S608
        assert not [each for each in sought if each in (rows or "")], table


async def test_a_signed_in_account_keeps_itself_and_is_raised(person: Person, idp: Idp) -> None:
    device = await person.api.token(strength="DEVICE")
    before = await person.api.data("{ viewer { resident { id } strength } }", token=device)
    await idp.person("aino", hetu=HETU, acr=LOA3)
    raised = await person.log_in(token=device)
    assert raised["viewer"]["resident"]["id"] == before["viewer"]["resident"]["id"]
    assert (before["viewer"]["strength"], raised["viewer"]["strength"]) == ("DEVICE", "STRONG")


async def test_the_same_person_is_another_one_in_another_municipality(person: Person, idp: Idp) -> None:
    await idp.person("aino", hetu=HETU, acr=LOA3)
    await person.log_in()
    assert (await person.log_in(municipality="muula"))["errors"] == []
    hashes = await person.api.conn.fetch("SELECT kind, subject_hash FROM identities ORDER BY kind")
    assert [row[0] for row in hashes] == ["OIDC", "OIDC", "PERSON", "PERSON"]
    assert len({row[1] for row in hashes}) == 4


async def test_the_acr_decides_the_strength(person: Person, idp: Idp) -> None:
    await idp.person("eino", acr=LOA2)
    assert (await person.log_in())["viewer"]["strength"] == "EMAIL"
    for acr in ("something else", None, 3, [LOA3], ""):
        await idp.person("eino", hetu=HETU, acr=acr)
        back = await person.code()
        before = await contents(person.api.conn)
        refused = await person.complete(**back)
        assert refused["errors"] == [{"code": "STRENGTH_TOO_LOW", "field": None}], acr
        assert await changed(person.api, before) == {"login_attempts"}


async def test_what_would_be_strong_needs_a_personal_identity_code_where_one_is_agreed(
    person: Person, idp: Idp
) -> None:
    for hetu in (None, "", " ", 7, "1" * 400, "131052\x00308T"):
        await idp.person("aino", hetu=hetu, acr=LOA3)
        assert (await person.log_in())["errors"] == [{"code": "INVALID", "field": ["input", "code"]}], hetu


async def test_what_is_asked_of_the_provider_is_all_that_protects(person: Person) -> None:
    begun = await person.begin(locale="sv")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun["authorizationUrl"]).query).items()}
    challenge = asked.pop("code_challenge")
    assert len(challenge) == 43
    assert asked == {
        "response_type": "code",
        "client_id": "heitto",
        "redirect_uri": REDIRECT,
        "scope": "openid",
        "state": begun["state"],
        "nonce": begun["nonce"],
        "code_challenge_method": "S256",
        "ui_locales": "sv",
        "acr_values": f"{LOA3} {LOA2}",
    }
    assert begun["nonce"] not in begun["state"]


async def test_in_the_trust_network_requests_are_signed_and_tokens_encrypted(person: Person, idp: Idp) -> None:
    begun = await person.begin("vahva")
    asked = parse_qs(urlsplit(begun["authorizationUrl"]).query)
    assert asked.keys() == {"response_type", "client_id", "scope", "request"}  # else anybody could change them
    await idp.person("aino", hetu=HETU, acr=LOA3)
    assert (await person.log_in("vahva"))["viewer"]["strength"] == "STRONG"


async def test_an_encrypted_token_is_opened_in_every_agreed_way(person: Person, idp: Idp) -> None:
    keys = await decryption_key(person, 0), await decryption_key(person, 1)
    await idp.person("aino", hetu=HETU, acr=LOA3)
    for jwk, algs in zip(keys, (("RSA-OAEP", "RSA-OAEP-256"), ("ECDH-ES", "ECDH-ES+A128KW")), strict=True):
        for alg in algs:
            for enc in ("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"):
                repeated = {"iss": idp.issuer, "aud": "heitto-vahva"}
                await idp.set(token={"encrypt": {"alg": alg, "enc": enc, "jwk": jwk, "header": repeated}})
                assert (await person.log_in("vahva"))["errors"] == [], (alg, enc)


async def decryption_key(person: Person, index: int) -> object:
    """The public half of one of ours, as published."""
    answer = await person.api.client.get("/.well-known/login/ilola/vahva/jwks.json")
    found: object = [key for key in answer.json()["keys"] if key["use"] == "enc"][index]
    return found


async def test_our_public_keys_are_where_a_provider_can_fetch_them(person: Person) -> None:
    answer = await person.api.client.get("/.well-known/login/ilola/vahva/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=600"
    keys = answer.json()["keys"]
    assert [(key["use"], key["kty"]) for key in keys] == [("sig", "RSA"), ("enc", "RSA"), ("enc", "EC")]
    assert not [name for key in keys for name in ("d", "p", "q", "dp", "dq", "qi") if name in key]
    for path in ("muula/vahva", "ilola/none", "%2e%2e/vahva"):
        assert (await person.api.client.get(f"/.well-known/login/{path}/jwks.json")).status_code == 404, path
    assert (await person.api.client.get("/.well-known/login/ilola/tunnus/jwks.json")).json() == {"keys": []}


async def test_an_app_that_has_an_id_token_logs_in_with_it(person: Person, idp: Idp) -> None:
    begun = await person.begin()
    token = await idp.order("mint", client_id="heitto", nonce=begun["nonce"], acr=LOA3, hetu=HETU)
    done = await person.complete(state=begun["state"], idToken=token)
    assert (done["errors"], done["viewer"]["strength"]) == ([], "STRONG")


async def test_an_app_may_bring_its_own_pkce(person: Person, idp: Idp) -> None:
    verifier = "app" * 20
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    await idp.person("eino")
    back = await person.code("julkinen", codeChallenge=challenge, redirectUri=REDIRECT)
    assert (await person.complete(**back, codeVerifier=verifier))["viewer"]["strength"] == "EMAIL"


async def test_the_token_of_a_login_says_what_the_account_is(person: Person, idp: Idp) -> None:
    await idp.person("aino", hetu=HETU, acr=LOA3)
    token = (await person.log_in())["accessToken"]
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["strength"], claims["roles"], claims["municipality"]) == ("STRONG", ["RESIDENT"], "ilola")
    method = await person.api.conn.fetchval("SELECT method::text FROM sessions WHERE id = $1", claims["sid"])
    assert method == "OIDC"


async def changed(api: Api, before: dict[str, str]) -> set[str]:
    """Tables that hold something else now."""
    now = await contents(api.conn)
    return {table for table in now if now[table] != before[table]}
