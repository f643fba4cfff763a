"""The provider of the tests as a process, the configuration that knows it, and a person with a browser."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc.jwk import ECKey, RSAKey

from backend.auth.client_keys import load_client_keys, published

if TYPE_CHECKING:
    from tests.conftest import Api

Json = dict[str, Any]  # Any: what JSON holds
REDIRECT = "https://app.example/login"
LOA2, LOA3 = "http://ftn.example/loa2", "http://ftn.example/loa3"
SESSION = "accessToken refreshToken viewer { resident { id displayName } strength roles official { name } }"

FILE = """
[[provider]]
municipality = "ilola"
id = "tunnus"
names = {{ fi = "Tunnistus", sv = "Identifiering" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto"
client_secret = "a secret + of % letters"
redirect_uris = ["{redirect}", "example.app:/login"]
claims = {{ person = "hetu" }}
acr = {{ "{loa3}" = "STRONG", "{loa2}" = "EMAIL" }}

[[provider]] # as in the Finnish trust network
municipality = "ilola"
id = "vahva"
names = {{ en = "Bank" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto-vahva"
private_key_file = "client-key.pem"
signed_requests = true
decryption_key_file = "decryption-keys.pem"
redirect_uris = ["{redirect}"]
claims = {{ person = "hetu" }}
acr = {{ "{loa3}" = "STRONG" }}
max_age = 60

[[provider]]
municipality = "ilola"
id = "kunta"
names = {{ fi = "Ilolan kunta" }}
serves = "STAFF"
issuer = "{issuer}"
client_id = "heitto-kunta"
client_secret_file = "secret"
scopes = ["openid", "profile", "email"]
redirect_uris = ["{redirect}"]
claims = {{ name = "name" }}
strength = "STRONG"
[provider.roles]
claim = "realm_access.roles"
values = {{ officials = "OFFICIAL", moderators = "MODERATOR", it = "ADMINISTRATOR" }}

[[provider]]
municipality = "ilola"
id = "julkinen"
names = {{ fi = "Julkinen" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto-julkinen"
redirect_uris = ["{redirect}"]
strength = "EMAIL"

[[provider]]
municipality = "muula"
id = "tunnus"
names = {{ fi = "Tunnistus" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto"
client_secret = "a secret + of % letters"
redirect_uris = ["{redirect}"]
claims = {{ person = "hetu" }}
strength = "STRONG"
"""


@dataclass(frozen=True)
class Idp:
    issuer: str
    control: str
    client: httpx2.AsyncClient

    async def order(self, do: str, **values: object) -> Any:  # Any: JSON
        answer = await self.client.post(self.control, content=json.dumps({"do": do, **values}))
        assert answer.status_code == 200, do
        return answer.json()

    async def set(self, **values: object) -> None:
        await self.order("set", **values)

    async def person(self, sub: str, **claims: object) -> None:
        """Who is logged in from here on."""
        await self.set(person={"sub": sub, **claims})

    async def hits(self, path: str) -> int:
        hits: dict[str, int] = await self.order("hit")
        return hits.get(path, 0)

    async def browse(self, url: str) -> dict[str, str]:
        """What comes back to the app when a person goes to a page of the provider, who knows them."""
        answer = await self.client.get(url)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@dataclass(frozen=True)
class Person:
    """With an app and a browser. `token` is the app's access token, where it has one."""

    api: "Api"
    idp: Idp

    async def begin(
        self, provider: str = "tunnus", *, token: str = "", municipality: str = "ilola", **input: Any
    ) -> Json:  # Any: JSON
        asked = {"providerId": provider, "redirectUri": REDIRECT, **input}
        selection = "authorizationUrl state nonce expiresAt"
        return await self.api.mutate("beginLogin", asked, selection, token=token, heitto_municipality=municipality)

    async def code(
        self, provider: str = "tunnus", *, token: str = "", municipality: str = "ilola", **input: Any
    ) -> Json:  # Any: JSON
        """A login at the point where the browser has come back: `state` and `code`."""
        begun = await self.begin(provider, token=token, municipality=municipality, **input)
        assert begun["errors"] == [], begun
        back = await self.idp.browse(begun["authorizationUrl"])
        assert back["state"] == begun["state"]
        return {"state": back["state"], "code": back["code"]}

    async def complete(self, *, token: str = "", municipality: str = "ilola", **input: Any) -> Json:  # Any: JSON
        return await self.api.mutate("completeLogin", input, SESSION, token=token, heitto_municipality=municipality)

    async def log_in(self, provider: str = "tunnus", *, token: str = "", municipality: str = "ilola") -> Json:
        back = await self.code(provider, token=token, municipality=municipality)
        return await self.complete(token=token, municipality=municipality, **back)


@pytest.fixture(scope="session")
def idp_process() -> Iterator[Json]:
    """An OpenID Provider that runs as long as the tests do; its addresses."""
    command = [sys.executable, "-m", "tests.login.provider"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="session")
def login_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of our keys as a client."""
    folder = tmp_path_factory.mktemp("login")
    signing = RSAKey.generate_key(2048)
    decryption: list[RSAKey | ECKey] = [RSAKey.generate_key(2048), ECKey.generate_key("P-256")]
    (folder / "client-key.pem").write_bytes(signing.as_pem(private=True))
    (folder / "decryption-keys.pem").write_bytes(b"".join(key.as_pem(private=True) for key in decryption))
    (folder / "secret").write_text("kunnan salaisuus\n", "utf-8")
    return folder


@pytest.fixture
def providers_file(idp_process: Json, login_keys: Path) -> Path:
    path = login_keys / "providers.toml"
    path.write_text(FILE.format(issuer=idp_process["issuer"], redirect=REDIRECT, loa2=LOA2, loa3=LOA3), "utf-8")
    return path


@pytest.fixture
async def idp(idp_process: Json, login_keys: Path) -> AsyncIterator[Idp]:
    """As it was at first, with our clients."""
    signing = load_client_keys(login_keys / "client-key.pem")
    decryption = published(load_client_keys(login_keys / "decryption-keys.pem"), "enc")
    uris = {"redirect_uris": [REDIRECT, "example.app:/login"]}
    async with httpx2.AsyncClient(timeout=10) as client:
        made = Idp(idp_process["issuer"], idp_process["control"], client)
        await made.order("up")
        await made.order("reset")
        await made.set(
            clients={
                "heitto": {"secret": "a secret + of % letters", **uris},
                "heitto-kunta": {"secret": "kunnan salaisuus", **uris},
                "heitto-julkinen": {"secret": "", **uris},
                "another": {"secret": "another", **uris},
                "heitto-vahva": {
                    "jwks": {"keys": published(signing, "sig")},
                    "signed_requests": True,
                    "encrypt": {"alg": "RSA-OAEP-256", "enc": "A128CBC-HS256", "jwk": decryption[0]},
                    **uris,
                },
            }
        )
        yield made
