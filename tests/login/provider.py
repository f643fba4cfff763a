"""An OpenID Provider as a process of its own: `python -m tests.login.provider`.

Written with joserfc, Starlette and uvicorn, and with nothing of ours: it signs, encrypts and checks by another library
than verifies. It logs everybody in as the person it was told, and keeps the rules a provider has to keep:
redirect URIs, PKCE, codes that are good once, clients that prove who they are. A second port takes orders: to be slow,
to be away, to rotate keys, to lie. The first line it prints is JSON with both addresses; it ends when its input does.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode
from uuid import uuid4

import uvicorn
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe, jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey, import_key
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

Json = dict[str, Any]  # Any: what JSON holds
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Refused(Exception):
    """An OAuth error."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status


def new_key(algorithm: str) -> Key:
    made: Key
    if algorithm == "ES256":
        made = ECKey.generate_key("P-256")
    elif algorithm == "EdDSA":
        made = OKPKey.generate_key("Ed25519")
    else:
        made = RSAKey.generate_key(2048)
    return renamed(made, uuid4().hex)


def renamed(key: Key, kid: str | None) -> Key:
    return import_key({**key.as_dict(private=True), "use": "sig", "kid": str(kid)})


class Provider:
    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.first_key = RSAKey.import_key(new_key("RS256").as_dict(private=True))
        self.reset()

    def reset(self) -> None:
        self.signing: Key = self.first_key
        self.algorithm = "RS256"
        self.published: list[Key] = [self.first_key]
        self.clients: dict[str, Json] = {}
        self.codes: dict[str, Json] = {}
        self.assertions: set[str] = set()
        self.hits: Counter[str] = Counter()
        self.person: Json = {"sub": "somebody"}
        self.token: Json = {}
        self.slow: dict[str, float] = {}
        self.status: dict[str, int] = {}
        self.metadata: Json = {}
        self.more_keys: list[object] = []
        self.authentications = ["client_secret_basic", "client_secret_post", "private_key_jwt"]

    # What everybody sees.

    def discovery(self) -> Json:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": self.authentications,
            "code_challenge_methods_supported": ["S256"],
        } | self.metadata

    def jwks(self) -> Json:
        return {"keys": [*self.more_keys, *(dict(key.as_dict(private=False)) for key in self.published)]}

    def authorize(self, asked: Json) -> str:
        """Where the browser goes next."""
        client = self.clients.get(asked.get("client_id", ""))
        if client is None:
            raise Refused("unauthorized_client")
        if "request" in asked:
            asked = asked | self._request_object(client, asked)
        elif client.get("signed_requests"):
            raise Refused("invalid_request_object")
        if asked.get("redirect_uri") not in client["redirect_uris"] or asked.get("response_type") != "code":
            raise Refused("invalid_request")
        if "openid" not in asked.get("scope", "").split() or asked.get("code_challenge_method") != "S256":
            raise Refused("invalid_request")
        code = uuid4().hex
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked.get('state', '')})}"

    def _request_object(self, client: Json, asked: Json) -> Json:
        """RFC 9101."""
        try:
            read = jwt.decode(asked["request"], KeySet.import_key_set(client["jwks"]), algorithms=["RS256", "ES256"])
        except (JoseError, ValueError):
            raise Refused("invalid_request_object") from None
        claims = read.claims
        if claims["aud"] != self.issuer or claims["iss"] != claims["client_id"] or claims["exp"] < time.time():
            raise Refused("invalid_request_object")
        return claims

    def exchange(self, form: Json, authorization: str) -> Json:
        client_id = self._client(form, authorization)
        asked = self.codes.pop(form.get("code", ""), None)
        if form.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type")
        if asked is None or asked["client_id"] != client_id or asked["redirect_uri"] != form.get("redirect_uri"):
            raise Refused("invalid_grant")
        if base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != asked["code_challenge"]:
            raise Refused("invalid_grant")
        access_token = uuid4().hex
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        more = {"nonce": asked.get("nonce"), "at_hash": base64url(half)}
        if asked.get("acr_values"):
            more["acr"] = asked["acr_values"].split()[0]
        if "max_age" in asked:
            more["auth_time"] = int(time.time())
        token = self.id_token(client_id, more)
        return {"access_token": access_token, "token_type": "Bearer", "expires_in": 60, "id_token": token}

    def _client(self, form: Json, authorization: str) -> str:
        """Who has proven to be which client."""
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            id, _, secret = (unquote_plus(part) for part in pair.partition(":"))
            way = "client_secret_basic"
        elif form.get("client_assertion_type") == ASSERTION:
            return self._asserted(form["client_assertion"])
        else:
            id, secret = form.get("client_id", ""), form.get("client_secret", "")
            way = "client_secret_post" if secret else "none"
        client = self.clients.get(id, {"secret": uuid4().hex})
        if client.get("secret", "") != secret or (secret and way not in self.authentications) or client.get("jwks"):
            raise Refused("invalid_client", 401)
        return id

    def _asserted(self, assertion: str) -> str:
        """RFC 7523."""
        try:
            id = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))["sub"]
            keys = KeySet.import_key_set(self.clients[id]["jwks"])
            claims = jwt.decode(assertion, keys, algorithms=["RS256", "ES256"]).claims
        except (JoseError, ValueError, KeyError):
            raise Refused("invalid_client", 401) from None
        fresh = claims["exp"] > time.time() and claims["jti"] not in self.assertions
        if claims["iss"] != id or claims["aud"] not in (self.issuer, f"{self.issuer}/token") or not fresh:
            raise Refused("invalid_client", 401)
        self.assertions.add(claims["jti"])
        return str(id)

    # Tokens, true ones and others.

    def id_token(self, client_id: str, more: Json) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": client_id, "iat": now, "exp": now + 300, **more, **self.person}
        claims |= self.token.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = self.token.get("alg", self.algorithm)
        header = {"alg": algorithm, "kid": self.signing.kid} | self.token.get("header", {})
        header = {name: value for name, value in header.items() if value is not None}
        signed = self._signed(header, json.dumps(claims).encode(), algorithm)
        encryption = self.token.get("encrypt") or self.clients.get(client_id, {}).get("encrypt")
        return self._encrypted(signed, encryption) if encryption else signed

    def _signed(self, header: Json, payload: bytes, algorithm: str) -> str:
        """What joserfc would not do, being right, is done by hand."""
        key = new_key(algorithm) if self.token.get("unpublished") else self.signing
        if header["alg"] == algorithm and algorithm not in {"none", "HS256"}:
            registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
            with contextlib.suppress(JoseError):  # odd headers
                return jws.serialize_compact(header, payload, key, registry=registry)
        signed = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
        signature = b""
        if algorithm == "HS256":  # with what everybody can read
            signature = hmac.digest(self.first_key.as_pem(private=False), signed.encode(), hashlib.sha256)
        elif algorithm != "none":
            assert self.first_key.private_key
            signature = self.first_key.private_key.sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{base64url(signature)}"

    def _encrypted(self, signed: str, encryption: Json) -> str:
        header = {"alg": encryption["alg"], "enc": encryption["enc"], "cty": "JWT", **encryption.get("header", {})}
        registry = jwe.JWERegistry(algorithms=[header["alg"], header["enc"], "DEF"], strict_check_header=False)
        return jwe.encrypt_compact(header, signed.encode(), import_key(encryption["jwk"]), registry=registry)

    # Orders.

    def rotate(self, alg: str = "RS256", keep: bool = False) -> None:
        self.signing, self.algorithm = new_key(alg), alg
        self.published = [*(self.published if keep else []), self.signing]

    def publish_another_key(self) -> None:
        """Under the same name."""
        self.published = [renamed(new_key(self.algorithm), self.signing.kid)]

    def set(self, **values: Any) -> None:  # Any: of its attributes
        for name, value in values.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def mint(self, client_id: str, **claims: Any) -> str:  # Any: JSON
        return self.id_token(client_id, claims)

    def hit(self) -> dict[str, int]:
        return dict(self.hits)


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them as they are: there are two servers in this process, and it just ends."""
        yield


def listening(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(128)
    return made


class House:
    """The provider behind its port, which can be closed and opened again."""

    def __init__(self) -> None:
        self.socket = listening()
        self.port: int = self.socket.getsockname()[1]
        self.provider = Provider(self.port)
        paths = {
            "/.well-known/openid-configuration": self.discovery,
            "/jwks": self.jwks,
            "/authorize": self.authorize,
            "/token": self.token,
        }
        self.app = Starlette(routes=[Route(path, does, methods=["GET", "POST"]) for path, does in paths.items()])
        self.serving: tuple[Server, asyncio.Task[None]] | None = None

    async def up(self) -> None:
        if self.serving:
            return
        self.socket = listening(self.port) if self.socket.fileno() < 0 else self.socket
        server = Server(uvicorn.Config(self.app, log_level="critical", timeout_graceful_shutdown=1))
        self.serving = server, asyncio.create_task(server.serve(sockets=[self.socket]))

    async def down(self) -> None:
        if self.serving:
            server, task = self.serving
            server.should_exit = server.force_exit = True
            await task
            self.socket.close()
            self.serving = None

    async def _noted(self, request: Request) -> Response | None:
        """Counts it, waits and fails as ordered."""
        path, provider = request.url.path, self.provider
        provider.hits[path] += 1
        await asyncio.sleep(provider.slow.get(path, 0))
        return Response(status_code=provider.status[path]) if path in provider.status else None

    async def discovery(self, request: Request) -> Response:
        return await self._noted(request) or JSONResponse(self.provider.discovery())

    async def jwks(self, request: Request) -> Response:
        return await self._noted(request) or JSONResponse(self.provider.jwks())

    async def authorize(self, request: Request) -> Response:
        if failed := await self._noted(request):
            return failed
        try:
            return RedirectResponse(self.provider.authorize(dict(request.query_params)), 302)
        except Refused as refused:
            return JSONResponse({"error": refused.error}, refused.status)

    async def token(self, request: Request) -> Response:
        if failed := await self._noted(request):
            return failed
        form = dict(parse_qsl((await request.body()).decode()))
        try:
            return JSONResponse(self.provider.exchange(form, request.headers.get("authorization", "")))
        except Refused as refused:
            return JSONResponse({"error": refused.error}, refused.status)

    async def order(self, request: Request) -> Response:
        asked = await request.json()
        name = asked.pop("do")
        if name in {"up", "down"}:
            await (self.up() if name == "up" else self.down())
            return JSONResponse(None)
        return JSONResponse(getattr(self.provider, name)(**asked))


async def main() -> None:
    house, control = House(), listening()
    await house.up()
    orders = Starlette(routes=[Route("/", house.order, methods=["POST"])])
    urls = {"issuer": house.provider.issuer, "control": f"http://127.0.0.1:{control.getsockname()[1]}/"}
    print(json.dumps(urls), flush=True)  # noqa: T201 # that is how it is found
    await Server(uvicorn.Config(orders, log_level="critical")).serve(sockets=[control])


def end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    asyncio.run(main())
