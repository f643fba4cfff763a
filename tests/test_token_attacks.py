"""Promises D1 to D14: whatever is no good token gets the same refusal on every transport, and nothing happens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import orjson
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backend.auth.keys import load_signing_keys
from backend.auth.tokens import verify_access_token
from backend.db import revocations as feed
from backend.settings import Settings, SettingsError, load_settings
from tests.conftest import OTHER, Api
from tests.contents import contents
from tests.forger import OF_RSA, Forger, b64, part
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds
Attack = Callable[[Forger], str]
Raw = list[tuple[bytes, bytes]]

SUBMIT = (
    'mutation { submitIdea(input: {title: "Lisää penkkejä", locale: "fi", idempotencyKey: "%s"})'
    " { idea { id } errors { code } } }"
)
VIEWER = "{ viewer { resident { id } } }"
WATCH = "subscription { notificationReceived { id } }"
FAR = 2**31


def claim(**changes: object) -> Attack:
    return lambda forger: forger.with_claims(**changes)


def ahead(name: str, seconds: int) -> Attack:
    return lambda forger: forger.with_claims(**{name: int(time.time()) + seconds})


def header(**changes: object) -> Attack:
    return lambda forger: forger.with_header(**changes)


def text(token: str) -> Attack:
    return lambda forger: token


def of_issuer(change: Callable[[str], object]) -> Attack:
    return lambda forger: forger.with_claims(iss=change(forger.issuer))


def named(number: str, attacks: dict[str, Attack]) -> dict[str, Attack]:
    return {f"{number} {name}": attack for name, attack in attacks.items()}


# By the number in the list of promises. All but those of a stranger are signed with our own key, or with none.
ATTACKS: dict[str, Attack] = {
    **named(
        "D1",
        {
            f"alg {alg!r}": lambda f, alg=alg: f.unsigned(alg)
            for alg in ("none", "None", "NONE", "nOnE", "none ", "", None)
        }
        | {
            "alg none with a signature": lambda f: f.unsigned("none", b64(b"s" * 64)),
            "alg EdDSA, signature empty": lambda f: f.unsigned("EdDSA"),
            "alg EdDSA, signature of zeros": lambda f: f.unsigned("EdDSA", b64(bytes(64))),
            "alg none under our signature": header(alg="none"),
            "alg a list": header(alg=["EdDSA"]),
            "alg null": lambda f: f.ours({**f.header(), "alg": None}),
            "no third part": lambda f: f.ours().rpartition(".")[0],
        },
    ),
    **named(
        "D2",
        {
            f"{alg} with the public key, {kind}": lambda f, kind=kind, alg=alg: f.with_public_key_as_secret(kind, alg)
            for kind in ("PEM", "PEM without its last line's end", "DER", "raw", "JWK", "JWK set", "kid", "nothing")
            for alg in ("HS256", "HS512")
        }
        | {f"{alg} under our kid": lambda f, alg=alg: f.signed(OF_RSA, alg) for alg in ("RS256", "RS512", "PS256")}
        | {
            "ES256 under our kid": lambda f: f.signed(f.second, "ES256"),
            "EdDSA under the other key's kid": lambda f: f.with_header(kid=f.second_kid),
            "ES256 said, EdDSA done": header(alg="ES256"),
            "a stranger's signature": lambda f: f.strangers(),
            "a stranger's curve": lambda f: f.with_strangers_curve(),
        },
    ),
    **named(
        "D3",
        {
            "kid unknown": lambda f: f.strangers(kid="unknown"),
            "kid unknown, our signature": header(kid="unknown"),
            "kid missing": header(kid=None),
            "kid empty": header(kid=""),
            "kid a path": header(kid="../../../../../../dev/null"),
            "kid a file": header(kid="file:///etc/passwd"),
            "kid SQL": header(kid="' UNION SELECT 'key' --"),
            "kid NUL": lambda f: f.with_header(kid=f"{f.keys.kid}\x00"),
            "kid 10 kB": header(kid="k" * 10_000),
            "kid 4 kB": header(kid="k" * 4_000),
            "kid a number": header(kid=0),
            "kid true": header(kid=True),
            "kid a list": lambda f: f.with_header(kid=[f.keys.kid]),
            "kid an object": header(kid={}),
            "kid a lone surrogate": header(kid="\ud800"),
        },
    ),
    **named(
        "D4",
        {
            "jwk of a stranger": lambda f: f.with_strangers_jwk(),
            "jwk of a stranger without kid": lambda f: f.with_strangers_jwk(kid=None),
            "x5c": lambda f: f.strangers(x5c=["MIIB"]),
            "jku empty": header(jku=""),
        },
    ),
    **named(
        "D5",
        {
            "crit unknown": header(crit=["exp-next"], **{"exp-next": 1}),
            "crit empty": header(crit=[]),
            "crit of what we know": header(crit=["alg"]),
            "b64 false": header(crit=["b64"], b64=False),
            "b64 false without crit": header(b64=False),
            "zip": header(zip="DEF"),
        },
    ),
    **named(
        "D6",
        {
            "expired": ahead("exp", -31),
            "expired long ago": claim(exp=1),
            "exp 0": claim(exp=0),
            "exp negative": claim(exp=-FAR),
            "exp a number in text": lambda f: f.with_claims(exp=str(int(time.time()) + 900)),
            "exp a fraction": lambda f: f.with_claims(exp=time.time() + 900),
            "exp 1e300": claim(exp=1e300),
            "exp infinite": claim(exp=float("inf")),
            "exp NaN": claim(exp=float("nan")),
            "exp huge": claim(exp=2**63),
            "exp of 400 digits": claim(exp=10**400),
            "exp of 4,400 digits": lambda f: f.ours(
                payload=json.dumps(f.claims(exp=0)).replace(": 0", ": 9" + "9" * 4399).encode()
            ),
            "exp true": claim(exp=True),
            "exp a list": claim(exp=[FAR]),
            "exp an object": claim(exp={}),
            "exp null": lambda f: f.ours(payload={**f.claims(), "exp": None}),
            "exp in two years": ahead("exp", 2 * 366 * 86_400),
            "nbf ahead": ahead("nbf", 60),
            "nbf no number": claim(nbf="soon"),
            "iat ahead": ahead("iat", 60),
            "iat far ahead": ahead("iat", 10**6),
            "iat no number": claim(iat="now"),
            "iat a number in text": lambda f: f.with_claims(iat=str(int(time.time()))),
        },
    ),
    **named(
        "D7",
        {
            f"{name} missing": claim(**{name: None})
            for name in ("exp", "iss", "aud", "sub", "jti", "iat", "sid", "roles", "strength")
        }
        | {
            f"{name} null": lambda f, name=name: f.ours(payload={**f.claims(), name: None})
            for name in ("sub", "jti", "sid")
        }
        | {
            "no claims": lambda f: f.ours(payload={}),
            "claims a list": lambda f: f.ours(payload=[f.claims()]),
            "claims a text": lambda f: f.ours(payload="claims"),
            "sub of nobody's shape": claim(sub="alice"),
            "sub in capitals": lambda f: f.with_claims(sub=str(f.resident_id).upper().replace("-", "")),
            "sub in braces": lambda f: f.with_claims(sub=f"{{{f.resident_id}}}"),
            "sub a number": claim(sub=1),
            "sub a list": lambda f: f.with_claims(sub=[str(f.resident_id)]),
            "sub SQL": claim(sub="' OR 1=1 --"),
            "sid of nobody's shape": claim(sid="1"),
            "sid a list": lambda f: f.with_claims(sid=[str(f.session_id)]),
            "jti empty": claim(jti=""),
            "roles a text": claim(roles="RESIDENT"),
            "roles unknown": claim(roles=["RESIDENT", "KING"]),
            "strength unknown": claim(strength="STRONGEST"),
        },
    ),
    **named(
        "D8",
        {
            "aud of another": claim(aud="heitto-admin"),
            "aud a list": claim(aud=["heitto"]),
            "aud a list of two": claim(aud=["heitto", "other"]),
            "aud of another case": claim(aud="Heitto"),
            "aud with a space": claim(aud="heitto "),
            "aud empty": claim(aud=""),
            "iss of another": claim(iss="https://attacker.example"),
            "iss with a slash": of_issuer(lambda iss: f"{iss}/"),
            "iss of another case": of_issuer(str.upper),
            "iss a list": of_issuer(lambda iss: [iss]),
            "iss with an accent": of_issuer(lambda iss: iss.replace("i", "\u0456")),
            "iss empty": claim(iss=""),
        },
    ),
    **named(
        "D9",
        {
            "typ JWT": header(typ="JWT"),
            "typ missing": header(typ=None),
            "typ in capitals": header(typ="AT+JWT"),
            "typ in full": header(typ="application/at+jwt"),
            "an ID token": lambda f: f.ours(
                f.header(typ="JWT"), {**f.claims(aud="app", nonce="n", azp="app"), "email": "aino@example.fi"}
            ),
            "a refresh token": text("t7Jk0P3n4o6dT0m6bM6bV6nq8yqz8w1m3M5kq9rX2aA"),
        },
    ),
    **named(
        "D11",
        {
            "municipality missing": claim(municipality=None),
            "municipality empty": claim(municipality=""),
            "municipality in capitals": lambda f: f.with_claims(municipality=f.municipality.upper()),
            "municipality with a space": lambda f: f.with_claims(municipality=f"{f.municipality} "),
            "municipality with a newline": lambda f: f.with_claims(municipality=f"{f.municipality}\n"),
            "municipality a path": lambda f: f.with_claims(municipality=f"../{f.municipality}"),
            "municipality a list": lambda f: f.with_claims(municipality=[f.municipality, OTHER]),
            "municipality a number": claim(municipality=1),
            "municipality null": lambda f: f.ours(payload={**f.claims(), "municipality": None}),
        },
    ),
    **named(
        "D12",
        {
            "8 kB and more": claim(padding="x" * 6_200),
            "100 kB": text(f"{'a' * 50_000}.{'b' * 40_000}.{'c' * 10_000}"),
            "100 kB of dots": text("." * 100_000),
            "empty": text(""),
            "one dot": text("."),
            "two dots": text(".."),
            "five parts": lambda f: f.encrypted(),
            "nested": lambda f: f.nested(),
            "no base64": text("a!.b!.c!"),
            "deep JSON": text(f"{b64(b'[' * 5_000)}.e30.e30"),
            "header tampered": lambda f: f.tampered(0),
            "payload tampered": lambda f: f.tampered(1),
            "signature tampered": lambda f: f.tampered(2),
            "signature's first bit": lambda f: f.tampered(2, "first"),
            "signature's last bit": lambda f: f.tampered(2, "last"),
            "another account's sub": lambda f: f.swapped(sub=str(uuid4())),
            "more roles": lambda f: f.swapped(roles=["ADMINISTRATOR", "MODERATOR", "RESIDENT"]),
            "another municipality": lambda f: f.swapped(municipality=OTHER),
            "alg twice": lambda f: (
                f.ours(b'{"alg":"none",' + json.dumps(f.header()).encode()[1:]).rpartition(".")[0] + "."
            ),
            "sub twice": lambda f: ".".join(
                (
                    part(f.header()),
                    part(b'{"sub":"x",' + json.dumps(f.claims()).encode()[1:]),
                    f.ours().rpartition(".")[2],
                )
            ),
            "two tokens in one": lambda f: f"{f.ours()} {f.ours()}",
            "two tokens and a comma": lambda f: f"{f.ours()}, Bearer {f.ours()}",
            "more after it": lambda f: f"{f.ours()}.{f.ours()}",
            "a quoted one": lambda f: f'"{f.ours()}"',
        },
    ),
}


@dataclass
class Attacked:
    """`heard` counts who came to a server that keys are offered on."""

    api: Api
    forger: Forger
    heard: list[bytes]
    url: str


def key_file(folder: Path, second: ec.EllipticCurvePrivateKey) -> Path:
    """With two keys: one that signs, and one of another type that only verifies."""
    path = folder / "signing.pem"
    first = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(first + second.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


SECOND = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(
        update={"signing_key_file": key_file(tmp_path, SECOND), "token_issuer": "https://heitto.ilola.fi"}
    )


@pytest.fixture
async def attacked(api: Api) -> AsyncIterator[Attacked]:
    assert api.settings.signing_key_file
    keys = load_signing_keys(api.settings.signing_key_file)
    claims = verify_access_token(keys, await api.token(), issuer=api.settings.token_issuer)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    forger = Forger(keys, SECOND, api.settings.token_issuer, claims.resident_id, claims.session_id, claims.municipality)
    await api.boards_settled()
    yield Attacked(api, forger, heard, f"http://{host}:{port}/keys.json")
    server.close()


def bearer(token: str) -> Raw:
    return [(b"authorization", f"Bearer {token}".encode("utf-8", "surrogatepass"))]


async def over_http(
    api: Api,
    raw: Raw,
    *,
    path: str = "/graphql",
    accept: bytes = b"application/json",
    method: str = "POST",
    query_string: str = "",
    query: str = "",
) -> tuple[int, bytes]:
    """Status and body of a request with these headers of its own."""
    sent = [(b"host", b"heitto.test"), (b"accept", accept), *raw]
    if method == "POST":
        sent.append((b"content-type", b"application/json"))
    async with Wire(api.app, "http", path, sent, method=method, query_string=query_string.encode()) as wire:
        wire.put({"type": "http.request", "body": orjson.dumps({"query": query})})
        status = (await wire.take())["status"]
        return status, (await wire.take())["body"]


@asynccontextmanager
async def connected(api: Api, raw: Raw) -> AsyncIterator[Wire]:
    sent = [(b"host", b"heitto.test"), *raw]
    async with Wire(api.app, "websocket", "/graphql", sent, subprotocols=["graphql-transport-ws"]) as wire:
        wire.put({"type": "websocket.connect"})
        assert (await wire.take())["type"] == "websocket.accept"
        yield wire


async def over_websocket(api: Api, raw: Raw, said: Json | None = None) -> tuple[int, str] | str:
    """The close, or `admitted`."""
    async with connected(api, raw) as wire:
        wire.say({"type": "connection_init", "payload": said or {}})
        message = await wire.take()
        if message["type"] == "websocket.close":
            return message["code"], message["reason"]
        return "admitted"


async def outcomes(api: Api, raw: Raw) -> dict[str, object]:
    """What comes of it, whatever is asked and however."""
    submit = SUBMIT % uuid4()
    return {
        "a mutation": await over_http(api, raw, query=submit),
        "a query": await over_http(api, raw, query=VIEWER),
        "a query that all may ask": await over_http(api, raw, query="{ municipality { id } }"),
        "no query at all": await over_http(api, raw, query="{ nonsense"),
        "GET": await over_http(api, raw, method="GET", query_string=f"query={quote(VIEWER)}"),
        "a stream": await over_http(api, raw, path="/graphql/stream", accept=b"text/event-stream", query=WATCH),
        "a mutation over a stream": await over_http(
            api, raw, path="/graphql/stream", accept=b"text/event-stream", query=submit
        ),
        "GET of a stream": await over_http(
            api,
            raw,
            path="/graphql/stream",
            accept=b"text/event-stream",
            method="GET",
            query_string=f"query={quote(WATCH)}",
        ),
        "a socket": await over_websocket(api, raw),
    }


BODY = orjson.dumps(
    {
        "errors": [
            {
                "message": "Sign in: a valid access token is needed.",
                "extensions": {"code": "UNAUTHENTICATED"},
            }
        ]
    }
)
ELSEWHERE = orjson.dumps(
    {
        "errors": [
            {
                "message": "The access token is for another municipality.",
                "extensions": {"code": "WRONG_MUNICIPALITY"},
            }
        ]
    }
)
REFUSED = dict.fromkeys(
    (
        "a mutation",
        "a query",
        "a query that all may ask",
        "no query at all",
        "GET",
        "a stream",
        "a mutation over a stream",
        "GET of a stream",
    ),
    (401, BODY),
) | {"a socket": (4403, "Forbidden")}


def keys_in_redis(api: Api) -> set[bytes]:
    """But those that the boards' upkeep makes by itself."""
    found: Any = redis.Redis.from_url(api.settings.redis_url).keys("*")  # Any: redis-py types it for both its clients
    return {key for key in found if b":board" not in key and b":fill" not in key and b":rebuild" not in key}


@asynccontextmanager
async def nothing_happens(attacked: Attacked) -> AsyncIterator[None]:
    """In PostgreSQL, in Redis, or at a server that a token names."""
    before = await contents(attacked.api.conn), keys_in_redis(attacked.api)
    yield
    assert (await contents(attacked.api.conn), keys_in_redis(attacked.api)) == before
    assert attacked.heard == []


async def not_refused(api: Api, raw: Raw) -> list[str]:
    """Over which transports these headers get anything but the refusal."""
    found = await outcomes(api, raw)
    return [f"{name}: {each!r}"[:300] for name, each in found.items() if each != REFUSED[name]]


def of(number: str) -> dict[str, Attack]:
    return {name: attack for name, attack in ATTACKS.items() if name.split()[0] == number}


async def good(api: Api, token: str) -> bool:
    """Whether it opens all transports."""
    raw = bearer(token)
    status, body = await over_http(api, raw, query=VIEWER)
    streamed = await over_http(api, raw, path="/graphql/stream", accept=b"text/event-stream", query=VIEWER)
    assert (status == 200 and b"resident" in body) == (streamed[0] == 200 and b"resident" in streamed[1])
    assert (status == 200) == (await over_websocket(api, raw) == "admitted")
    return status == 200


async def test_the_forger_of_these_tests_can_write_good_tokens(attacked: Attacked) -> None:
    """So it is what is wrong with the others that they are refused for."""
    api, forger = attacked.api, attacked.forger
    for token in (
        forger.ours(),
        forger.by_second(),
        forger.with_claims(nbf=1, more="x" * 1_000),
        forger.with_claims(iat=int(time.time()) + 20, exp=int(time.time()) + 30),
    ):
        assert await good(api, token)
    lately = forger.with_claims(iat=int(time.time()) - 900, exp=int(time.time()) - 10)  # clocks differ
    assert (await over_http(api, bearer(lately), query=VIEWER))[0] == 200
    for scheme in (b"Bearer ", b"bearer ", b"BEARER   "):
        raw = [(b"authorization", scheme + forger.ours().encode())]
        assert await over_websocket(api, raw) == "admitted"
        status, body = await over_http(api, raw, query=SUBMIT % uuid4())
        assert (status, orjson.loads(body)["data"]["submitIdea"]["errors"]) == (200, [])


@pytest.mark.parametrize("number", dict.fromkeys(name.split()[0] for name in ATTACKS))
async def test_a_bad_token_is_refused_everywhere_and_nothing_happens(attacked: Attacked, number: str) -> None:
    wrong = {}
    async with nothing_happens(attacked):
        for name, attack in of(number).items():
            token = attack(attacked.forger)
            if found := await not_refused(attacked.api, bearer(token)):
                wrong[name] = found
            said = {"authorization": f"Bearer {token}"}
            closed = await over_websocket(attacked.api, [], said)
            # What is too large for a message of the protocol is refused as such.
            if closed != ((1009, "Message too large") if len(token) > 64_000 else REFUSED["a socket"]):
                wrong[f"{name}, in connection_init"] = [repr(closed)]
    assert wrong == {}
    assert await good(attacked.api, attacked.forger.ours())


async def test_d4_no_key_is_fetched_from_where_a_token_says(attacked: Attacked) -> None:
    forger, url = attacked.forger, attacked.url
    async with nothing_happens(attacked):
        for token in (
            forger.strangers(jku=url),
            forger.strangers(jku=url, kid="unknown"),
            forger.strangers(x5u=url),
            forger.strangers(x5u=url, kid=url),
            forger.with_strangers_jwk(jku=url, x5u=url),
            forger.with_header(jku=url),
            forger.with_header(kid=url),
            forger.with_claims(iss=url),
        ):
            assert await not_refused(attacked.api, bearer(token)) == []


async def test_d3_unknown_keys_ask_for_nothing_however_often(attacked: Attacked) -> None:
    """There is nothing to fetch: keys come from a file at the start."""
    async with nothing_happens(attacked):
        for number in range(200):
            token = attacked.forger.strangers(kid=f"unknown {number}")
            assert await over_http(attacked.api, bearer(token), query=VIEWER) == (401, BODY)


async def test_d10_a_token_that_was_called_back_is_refused_like_any_other(attacked: Attacked) -> None:
    api, forger = attacked.api, attacked.forger
    where, known = {"municipality_id": api.catalogue.id}, api.app.state.pipeline.gate.services.revocations
    token = forger.ours()
    assert await good(api, token)
    await api.mutate("endAllSessions", {"exceptCurrent": False}, "errors { code }", token=token)
    joined = await api.token()
    claims = verify_access_token(forger.keys, joined, issuer=forger.issuer)
    await feed.revoke_account(api.conn, **where, resident_id=claims.resident_id)
    assert await known.look()
    async with nothing_happens(attacked):
        for each in (token, forger.with_claims(), forger.by_second(), joined):
            assert await not_refused(api, bearer(each)) == []
        of_joined = Forger(
            forger.keys, SECOND, forger.issuer, claims.resident_id, UUID(int=uuid4().int), forger.municipality
        )
        assert await not_refused(api, bearer(of_joined.ours())) == []  # also in another session


async def test_d12_a_token_comes_once_and_in_its_header(attacked: Attacked) -> None:
    api, token = attacked.api, attacked.forger.ours()
    twice = bearer(token) * 2
    headers: dict[str, Raw] = {
        "twice": twice,
        "two different ones": [*bearer(token), *bearer(attacked.forger.ours())],
        "a good and an empty one": [*bearer(token), (b"authorization", b"")],
        "Basic": [(b"authorization", b"Basic YWlubzphaW5v")],
        "Basic with the token": [(b"authorization", b"Basic " + token.encode())],
        "Token": [(b"authorization", b"Token " + token.encode())],
        "DPoP": [(b"authorization", b"DPoP " + token.encode())],
        "no scheme": [(b"authorization", token.encode())],
        "the scheme alone": [(b"authorization", b"Bearer")],
        "the scheme and a space": [(b"authorization", b"Bearer ")],
        "a tab": [(b"authorization", b"Bearer\t" + token.encode())],
        "the scheme twice": [(b"authorization", b"Bearer Bearer " + token.encode())],
        "empty": [(b"authorization", b"")],
    }
    async with nothing_happens(attacked):
        wrong = {name: found for name, raw in headers.items() if (found := await not_refused(api, raw))}
        assert wrong == {}
        said = {"authorization": f"Bearer {token}"}
        assert await over_websocket(api, bearer(token), said) == (4403, "Forbidden")
        spelt_twice = {**said, "Authorization": f"Bearer {token}"}
        assert await over_websocket(api, [], spelt_twice) == (4403, "Forbidden")
        # Nowhere else is it looked for: who sends it there is nobody.
        for name in ("access_token", "token", "authorization", "jwt"):
            for more in ([], [(b"cookie", f"{name}={token}".encode())], [(f"x-{name}".encode(), token.encode())]):
                for path, accept in (("/graphql", b"application/json"), ("/graphql/stream", b"text/event-stream")):
                    answer = await over_http(
                        api, more, path=path, accept=accept, query_string=f"{name}={token}", query=SUBMIT % uuid4()
                    )
                    assert answer == (401, BODY)
        async with connected(api, []) as wire:
            payload = {"token": token, "access_token": token, "headers": {"authorization": f"Bearer {token}"}}
            wire.say({"type": "connection_init", "payload": payload})
            assert await wire.hear() == {"type": "connection_ack"}
            wire.say({"type": "subscribe", "id": "1", "payload": {"query": SUBMIT % uuid4()}})
            assert (await wire.hear())["payload"] == orjson.loads(BODY)["errors"]
        status, body = await over_http(
            api, [], method="GET", query_string=f"query={quote(VIEWER)}&access_token={token}"
        )
        assert (status, orjson.loads(body)["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


async def test_c3_a_good_token_elsewhere_is_of_the_wrong_municipality_whatever_is_asked(attacked: Attacked) -> None:
    api, token = attacked.api, attacked.forger.ours()
    async with nothing_happens(attacked):
        for raw in (
            [*bearer(token), (b"heitto-municipality", OTHER.encode())],
            [*bearer(of_other(attacked)), (b"heitto-municipality", b"ilola")],
        ):
            found = await outcomes(api, raw)
            assert found.pop("a socket") == (4403, "Forbidden")
            assert set(found.values()) == {(403, ELSEWHERE)}
        said = {"authorization": f"Bearer {token}", "municipality": OTHER}
        assert await over_websocket(api, [], said) == (4403, "Forbidden")
        # A bad one is bad there, too.
        elsewhere = [*bearer(attacked.forger.tampered(1)), (b"heitto-municipality", OTHER.encode())]
        assert await not_refused(api, elsewhere) == []


def of_other(attacked: Attacked) -> str:
    """A good token of the other municipality."""
    forger = attacked.forger
    return Forger(forger.keys, SECOND, forger.issuer, uuid4(), uuid4(), OTHER).ours()


async def test_a_subscription_ends_with_its_token(attacked: Attacked) -> None:
    api = attacked.api
    token = attacked.forger.with_claims(exp=int(time.time()) + 2)
    async with connected(api, bearer(token)) as socket:
        socket.say({"type": "connection_init"})
        assert await socket.hear() == {"type": "connection_ack"}
        socket.say({"type": "subscribe", "id": "1", "payload": {"query": WATCH}})
        headers = [*bearer(token), (b"content-type", b"application/json"), (b"host", b"heitto.test")]
        async with Wire(api.app, "http", "/graphql/stream", headers, method="POST") as stream:
            stream.put({"type": "http.request", "body": orjson.dumps({"query": WATCH})})
            assert (await stream.take())["status"] == 200
            assert await stream.take() == {"type": "http.response.body", "body": b"", "more_body": False}
        assert await socket.closed() == (4403, "Forbidden")


@pytest.mark.parametrize("name", ["secret_key", "identity_key"])
def test_d14_a_weak_hmac_key_refuses_the_start(name: str) -> None:
    for weak in ("short", "x" * 31):
        with pytest.raises(SettingsError, match=name.upper()):
            load_settings(**{name: weak})
    load_settings(**{name: "x" * 32})


def test_d14_a_weak_signing_key_refuses_the_start(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    for weak in (
        OF_RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ec.generate_private_key(ec.SECP192R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        b"secret",
        b"",
    ):
        path.write_bytes(weak)
        with pytest.raises(SettingsError):
            load_signing_keys(path)
