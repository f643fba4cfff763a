"""ID tokens that prove nothing: refused, with nothing changed and nothing fetched, and sessions go on."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey

from tests.conftest import Api
from tests.contents import contents
from tests.login.idp import LOA3, Idp, Json, Person

pytestmark = pytest.mark.anyio

COMPLETE = (
    "mutation ($input: CompleteLoginInput!) { completeLogin(input: $input) { accessToken errors { code field } } }"
)
NOW, SOON = int(time.time()), int(time.time()) + 86_400  # tests may begin long after they were read
FOREIGN = RSAKey.generate_key(2048)
FOREIGN_JWK: Json = {**FOREIGN.as_dict(private=False), "kid": "theirs"}


@dataclass(frozen=True)
class Lie:
    """What the provider is told to make another way."""

    claims: Json = field(default_factory=dict)
    header: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)

    @property
    def token(self) -> Json:
        return {"claims": self.claims, "header": self.header, **self.more}


def claims(**values: Any) -> Lie:  # Any: JSON
    return Lie(claims=values)


def header(**values: Any) -> Lie:  # Any: JSON
    return Lie(header=values)


LIES = {
    "another issuer": claims(iss="http://127.0.0.1:1"),
    "no issuer": claims(iss=None),
    "for another client": claims(aud="another"),
    "for a client whose name is longer": claims(aud="heitto-kunta"),
    "for nobody": claims(aud=None),
    "for nobody in a list": claims(aud=[]),
    "for two, given to none": claims(aud=["heitto", "another"]),
    "for two, given to the other": claims(aud=["heitto", "another"], azp="another"),
    "given to another": claims(azp="another"),
    "an odd audience": claims(aud={"heitto": True}),
    "expired": claims(exp=NOW - 31),
    "never expires": claims(exp=None),
    "expires as text": claims(exp="tomorrow"),
    "expires in a list": claims(exp=[SOON]),
    "not yet": claims(nbf=SOON),
    "from the future": claims(iat=SOON),
    "from no time": claims(iat=None),
    "another nonce": claims(nonce="another"),
    "no nonce": claims(nonce=None),
    "odd nonce": claims(nonce=["another"]),
    "about nobody": claims(sub=None),
    "about an empty name": claims(sub=""),
    "about a number": claims(sub=7),
    "about what can't be stored": claims(sub="a\x00b"),
    "about half a character": claims(sub="\ud800"),
    "about a very long name": claims(sub="a" * 256),
    "unsigned": Lie(more={"alg": "none"}),
    "unsigned in other letters": Lie(header={"alg": "nOnE"}, more={"alg": "none"}),
    "signed with the public key": Lie(more={"alg": "HS256"}),
    "signed with a key nobody published": Lie(more={"unpublished": True}),
    "another algorithm than the signature's": header(alg="PS256"),
    "an algorithm of another kind of key": header(alg="ES256"),
    "an algorithm that is not allowed": Lie(more={"alg": "RS512"}),
    "no algorithm": header(alg=7),
    "an unknown key": header(kid="nobody's"),
    "a path for a key": header(kid="../../../../dev/null"),
    "SQL for a key": header(kid="' OR 1=1 --"),
    "a key of 10 kB": header(kid="k" * 10_240),
    "a number for a key": header(kid=7),
    "an access token": header(typ="at+jwt"),
    "a logout token": header(typ="logout+jwt"),
    "what must be understood": header(crit=["exp"]),
    "80 kB": claims(padding="x" * 60_000),
}


@pytest.mark.parametrize("way", ["code", "idToken"])
async def test_a_false_id_token_logs_nobody_in(person: Person, idp: Idp, way: str) -> None:
    wrong: list[object] = []
    token = await person.api.token()
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    await person.log_in()
    for name, lie in LIES.items():
        if way == "code":
            back = await person.code()
            await idp.set(token=lie.token)
        else:
            begun = await person.begin()
            await idp.set(token=lie.token)
            minted = await idp.order("mint", client_id="heitto", nonce=begun["nonce"])
            back = {"state": begun["state"], "idToken": minted}
        shape = name == "80 kB" and way == "idToken"  # which is seen before anything else
        before = await contents(person.api.conn)
        answer = (await person.api.post(COMPLETE, {"input": back})).json()
        refused = (answer.get("data") or {}).get("completeLogin") or answer
        if refused["errors"] != [{"code": "INVALID", "field": ["input", way]}] or refused["accessToken"]:
            wrong.append((name, refused))
        if await changed(person.api, before) != (set() if shape else {"login_attempts"}):
            wrong.append((name, "changed something"))
        await idp.set(token={})
    assert wrong == []
    # What named keys nobody has made the provider be asked once, all of them together.
    assert await idp.hits("/jwks") == 2
    assert (await person.api.data("{ viewer { strength } }", token=token))["viewer"] == {"strength": "EMAIL"}
    assert (await person.log_in())["errors"] == []


async def changed(api: Api, before: dict[str, str]) -> set[str]:
    now = await contents(api.conn)
    return {table for table in now if now[table] != before[table]}


TRUE = {
    "a clock behind ours": claims(exp=NOW - 5, iat=NOW - 300),
    "a clock ahead of ours": claims(iat=NOW + 25, nbf=NOW + 25),
    "for two, given to us": claims(aud=["heitto", "another"], azp="heitto"),
    "for us in a list": claims(aud=["heitto"]),
    "a type": header(typ="JWT"),
    "no name of the only key": header(kid=None),
}


async def test_a_true_id_token_may_be_made_otherwise(person: Person, idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    for name, lie in TRUE.items():
        back = await person.code()
        token = {
            **lie.token,
            "claims": {
                each: value + int(time.time()) - NOW if isinstance(value, int) else value
                for each, value in lie.claims.items()
            },
        }
        await idp.set(token=token)
        assert (await person.complete(**back))["errors"] == [], name


async def test_without_its_name_one_of_two_keys_is_not_guessed(person: Person, idp: Idp) -> None:
    await idp.order("rotate", keep=True)
    await idp.set(token={"header": {"kid": None}})
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    assert (await person.log_in())["errors"] == [{"code": "INVALID", "field": ["input", "code"]}]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_every_allowed_algorithm_verifies(person: Person, idp: Idp, algorithm: str) -> None:
    await idp.order("rotate", alg=algorithm)
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    await idp.set(token={"claims": {"at_hash": None}})  # the provider's has SHA-256 only
    assert (await person.log_in())["errors"] == []


async def test_d4_keys_and_addresses_in_the_header_are_ignored(person: Person, idp: Idp) -> None:
    """A token signed with a key of one's own, which its header brings along or points to."""
    begun = await person.begin()
    told = {"iss": idp.issuer, "aud": "heitto", "sub": "aino", "iat": NOW, "exp": SOON, "nonce": begun["nonce"]}
    for header in (
        {"jwk": FOREIGN_JWK},
        {"jwk": FOREIGN_JWK, "kid": "theirs"},
        {"jku": f"{idp.issuer}/elsewhere", "kid": "theirs"},
        {"x5u": f"{idp.issuer}/elsewhere"},
    ):
        begun = await person.begin()
        payload = json.dumps({**told, "nonce": begun["nonce"], "acr": LOA3, "hetu": "131052-308T"})
        registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        token = jws.serialize_compact({"alg": "RS256", **header}, payload, FOREIGN, registry=registry)
        refused = await person.complete(state=begun["state"], idToken=token)
        assert refused["errors"] == [{"code": "INVALID", "field": ["input", "idToken"]}]
    assert await idp.hits("/elsewhere") == 0
    assert await idp.hits("/jwks") <= 2


async def test_where_tokens_are_encrypted_others_are_refused(person: Person, idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    ours = (await person.api.client.get("/.well-known/login/ilola/vahva/jwks.json")).json()["keys"][1]
    oct_key = {"kty": "oct", "k": base64.urlsafe_b64encode(b"0" * 16).rstrip(b"=").decode()}
    for name, encrypt in {
        "to another key": {"alg": "RSA-OAEP-256", "enc": "A128GCM", "jwk": FOREIGN_JWK},
        "with a shared key": {"alg": "dir", "enc": "A128GCM", "jwk": oct_key},
        "with an old algorithm": {"alg": "RSA1_5", "enc": "A128GCM", "jwk": ours},
        "compressed": {"alg": "RSA-OAEP-256", "enc": "A128GCM", "jwk": ours, "header": {"zip": "DEF"}},
    }.items():
        await idp.set(token={"encrypt": encrypt})
        assert (await person.log_in("vahva"))["errors"] == [{"code": "INVALID", "field": ["input", "code"]}], name
    begun = await person.begin("vahva")
    await idp.set(token={})
    plain = await idp.order("mint", client_id="heitto", nonce=begun["nonce"], acr=LOA3, hetu="131052-308T")
    plain_for_it = await idp.order("mint", client_id="another", aud="heitto-vahva", nonce=begun["nonce"], acr=LOA3)
    for token in (plain, plain_for_it, "a.b.c.d.e", "....", "", "a" * 100_000, "ä.ö.å.x.y"):
        begun = await person.begin("vahva")
        refused = await person.complete(state=begun["state"], idToken=token)
        assert refused["errors"] == [{"code": "INVALID", "field": ["input", "idToken"]}], token[:20]


async def test_a_login_must_be_as_young_as_was_asked(person: Person, idp: Idp) -> None:
    said: tuple[object, ...] = (int(time.time()) - 600, None, "now", True, [], -(10**400))
    for auth_time in said:
        await idp.person("aino", acr=LOA3, hetu="131052-308T", auth_time=auth_time)
        assert (await person.log_in("vahva"))["errors"] == [{"code": "INVALID", "field": ["input", "code"]}]


async def test_an_id_token_that_came_with_another_access_token_is_refused(person: Person, idp: Idp) -> None:
    await idp.person("aino", acr=LOA3, hetu="131052-308T")
    for at_hash in ("another", "", 7, ["another"], "ä"):
        await idp.set(token={"claims": {"at_hash": at_hash}})
        assert (await person.log_in())["errors"] == [{"code": "INVALID", "field": ["input", "code"]}], at_hash


async def test_d9_an_id_token_is_no_access_token(person: Person, idp: Idp) -> None:
    begun = await person.begin()
    municipality = {"municipality": "ilola", "roles": ["RESIDENT"], "strength": "STRONG", "jti": "x", "sid": "x"}
    for audience in ("heitto", "another"):
        token = await idp.order("mint", client_id=audience, nonce=begun["nonce"], **municipality)
        assert await person.api.code("{ viewer { strength } }", token=token) == "UNAUTHENTICATED"
