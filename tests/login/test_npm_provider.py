"""Logins with a provider that others have written and certified: npm's `oidc-provider`, where Node.js and npm are.

It is installed from the lock beside this file, once, into the virtual environment; without Node.js, npm or a registry
these tests are skipped, and those with the provider of our own (`provider.py`) say the same.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
import pytest

from backend.auth.client_keys import load_client_keys, published
from backend.settings import Settings
from tests.conftest import Api
from tests.login.idp import LOA3, REDIRECT, SESSION, Json

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "npm"
OLDEST_NODE = 20
PROVIDERS = """
[[provider]]
municipality = "ilola"
id = "tunnus"
names = {{ fi = "Tunnistus" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto"
client_secret = "a secret + of % letters"
redirect_uris = ["{redirect}"]
claims = {{ person = "hetu" }}
acr = {{ "{loa3}" = "STRONG" }}

[[provider]]
municipality = "ilola"
id = "vahva"
names = {{ fi = "Pankki" }}
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
id = "julkinen"
names = {{ fi = "Julkinen" }}
serves = "RESIDENTS"
issuer = "{issuer}"
client_id = "heitto-julkinen"
redirect_uris = ["{redirect}"]
strength = "EMAIL"
"""


@dataclass(frozen=True)
class Npm:
    issuer: str
    process: "subprocess.Popen[str]"

    def rotate(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("rotate\n")
        self.process.stdin.flush()
        said(self.process, "rotated")


def said(process: "subprocess.Popen[str]", start: str) -> str:
    """The first line that starts so; oidc-provider prints advice between."""
    assert process.stdout
    return next(line.strip() for line in process.stdout if line.startswith(start))


def installed() -> Path:
    """The folder with the provider and what it needs. Skips where that can't be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("no Node.js with npm here")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version[1:].partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js {OLDEST_NODE} is needed, here is {version.strip()}")
    lock = (HERE / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / "share" / f"oidc-provider-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # another worker may be at it
        if not (folder / ".installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "0"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"npm could not install oidc-provider: exit code {done.returncode}")
            (folder / ".installed").touch()
    shutil.copy(HERE / "provider.mjs", folder)
    return folder


@pytest.fixture
def npm(login_keys: Path) -> Iterator[Npm]:
    try:
        folder = installed()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"oidc-provider can't be installed here: {type(error).__name__}")
    client = {"redirect_uris": [REDIRECT], "grant_types": ["authorization_code"], "response_types": ["code"]}
    signing = published(load_client_keys(login_keys / "client-key.pem"), "sig")
    decryption = published(load_client_keys(login_keys / "decryption-keys.pem"), "enc")
    clients = [
        {"client_id": "heitto", "client_secret": "a secret + of % letters", **client},
        {"client_id": "heitto-julkinen", "token_endpoint_auth_method": "none", **client},
        {
            "client_id": "heitto-vahva",
            "token_endpoint_auth_method": "private_key_jwt",
            "require_signed_request_object": True,
            "request_object_signing_alg": "RS256",
            "id_token_encrypted_response_alg": "RSA-OAEP-256",
            "id_token_encrypted_response_enc": "A128CBC-HS256",
            "jwks": {"keys": signing + [{**key, "alg": "RSA-OAEP-256"} for key in decryption if key["kty"] == "RSA"]},
            **client,
        },
    ]
    told = json.dumps({"clients": clients, "account": {"hetu": "131052-308T", "name": "Aino"}, "acr": LOA3})
    with subprocess.Popen(
        ["node", "provider.mjs", told],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Npm(said(process, "http"), process)
        process.kill()


@pytest.fixture
def settings(settings: Settings, npm: Npm, tmp_path: Path, login_keys: Path) -> Settings:
    for each in login_keys.iterdir():
        shutil.copy(each, tmp_path)
    path = tmp_path / "npm.toml"
    path.write_text(PROVIDERS.format(issuer=npm.issuer, redirect=REDIRECT, loa3=LOA3), "utf-8")
    return settings.model_copy(update={"login_providers_file": path})


async def browse(url: str) -> Json:
    """What comes back to the app, after the pages and cookies of the provider."""
    async with httpx2.AsyncClient() as browser:
        for _ in range(10):
            answer = await browser.get(url)
            assert answer.is_redirect, answer.text
            url = urljoin(url, answer.headers["location"])
            if url.startswith(REDIRECT):
                return dict(parse_qsl(urlsplit(url).query))
    raise AssertionError(url)


async def log_in(api: Api, provider: str, **input: str) -> Json:
    asked = {"providerId": provider, "redirectUri": REDIRECT}
    begun = await api.mutate("beginLogin", asked, "authorizationUrl state")
    assert begun["errors"] == []
    back = await browse(begun["authorizationUrl"])
    assert back["state"] == begun["state"], back
    return await api.mutate("completeLogin", {"state": back["state"], "code": back["code"], **input}, SESSION)


async def test_residents_log_in_with_a_certified_provider(api: Api) -> None:
    done = await log_in(api, "tunnus")
    assert (done["errors"], done["viewer"]["strength"]) == ([], "STRONG")
    assert (await log_in(api, "tunnus"))["viewer"]["resident"] == done["viewer"]["resident"]


async def test_signed_requests_and_encrypted_tokens_suit_a_certified_provider(api: Api) -> None:
    done = await log_in(api, "vahva")
    assert (done["errors"], done["viewer"]["strength"]) == ([], "STRONG")
    assert (await log_in(api, "tunnus"))["viewer"]["resident"] == done["viewer"]["resident"]


async def test_a_certified_provider_rotates_its_keys(api: Api, npm: Npm) -> None:
    session = await log_in(api, "tunnus")
    npm.rotate()
    assert (await log_in(api, "tunnus"))["errors"] == []
    viewer = await api.data("{ viewer { strength } }", token=session["accessToken"])
    assert viewer["viewer"]["strength"] == "STRONG"


async def test_a_certified_provider_refuses_an_apps_wrong_verifier(api: Api) -> None:
    refused = await log_in(api, "tunnus", codeVerifier="w" * 43)
    assert refused["errors"] == [{"code": "INVALID", "field": ["input", "code"]}]
