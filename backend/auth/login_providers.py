"""Who vouches for residents and staff: the file named by HEITTO_LOGIN_PROVIDERS_FILE (docs/operations.md shows one).

A file and not a table, since it holds secrets: so these are in no dump and no answer of the database, and a change of
who may vouch is reviewed like any other change of the configuration.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from backend.auth.client_keys import ClientKey, load_client_keys
from backend.settings import SettingsError

LARGEST_NUMBER: Final = 20  # of a municipality: the API gives them without paging
Strength = Literal["EMAIL", "STRONG"]
StaffRole = Literal["OFFICIAL", "COORDINATOR", "MODERATOR", "ADMINISTRATOR"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_APP_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # RFC 8252 section 7.1: a reversed domain name


def loopback_or_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


def is_web(redirect_uri: str) -> bool:
    """Whether it leads to a page, and not to an app by a scheme of its own."""
    return urlsplit(redirect_uri).scheme in ("https", "http")


def _issuer(value: object) -> object:
    if isinstance(value, str) and (not loopback_or_https(value) or "?" in value or "#" in value):
        raise ValueError("must be https://…, or http:// on loopback, without ? and #")
    return value


def _redirect_uri(value: object) -> object:
    if isinstance(value, str) and (
        "#" in value or not (loopback_or_https(value) or _APP_SCHEME.fullmatch(urlsplit(value).scheme))
    ):
        raise ValueError("must be https://…, http:// on loopback, or an app's own scheme with a dot; without #")
    return value


def _file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError("must be the name of a file")
    folder: Path = info.context["folder"] if info.context else Path()
    return folder / value


def _secret_file(value: object, info: ValidationInfo) -> object:
    path = _file(value, info)
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} can't be read") from None


def _key_file(value: object, info: ValidationInfo) -> object:
    return load_client_keys(_file(value, info))


Text = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class ClaimNames(_Part):
    """Where in an ID token things stand. A dot leads into an object, unless a claim has that very name."""

    name: Text | None = None  # the display name of a new account: public, so nobody's unless the file says so
    email: Text = "email"
    email_verified: Text = "email_verified"
    person: Text | None = None  # the personal identity code: makes one person one voter, whoever vouches


class RoleClaim(_Part):
    """Roles of staff: the values of a claim, and what each is here."""

    claim: Text
    values: dict[str, StaffRole] = Field(min_length=1, max_length=200)


class LoginProvider(_Part):
    """An OpenID Provider of one municipality, and what is taken from its word. Files of keys and secrets are read."""

    municipality: Name
    id: Name
    names: dict[Literal["fi", "sv", "en"], Annotated[str, Field(min_length=1, max_length=100)]] = Field(min_length=1)
    serves: Literal["RESIDENTS", "STAFF"]
    issuer: Annotated[Text, BeforeValidator(_issuer)]
    client_id: Text
    client_secret: SecretStr | None = Field(None, min_length=1)
    client_secret_file: Annotated[SecretStr | None, BeforeValidator(_secret_file)] = Field(None, min_length=1)
    private_key_file: Annotated[tuple[ClientKey, ...], BeforeValidator(_key_file)] = Field((), repr=False)
    signed_requests: bool = False
    decryption_key_file: Annotated[tuple[ClientKey, ...], BeforeValidator(_key_file)] = Field((), repr=False)
    audience: Text | None = None
    scopes: tuple[Text, ...] = ("openid",)
    redirect_uris: tuple[Annotated[Text, BeforeValidator(_redirect_uri)], ...] = Field(min_length=1, max_length=20)
    claims: ClaimNames = ClaimNames()
    strength: Strength | None = None
    acr: dict[Text, Strength] = {}
    max_age: int | None = Field(None, ge=0)
    roles: RoleClaim | None = None
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "PS256", "ES256", "EdDSA"), min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ways = (self.client_secret, self.client_secret_file, self.private_key_file or None)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give one of client_secret, client_secret_file and private_key_file")
        if self.signed_requests and not self.private_key_file:
            raise ValueError("signed_requests needs private_key_file")
        if "openid" not in self.scopes:
            raise ValueError("scopes must have openid")
        if not self.acr and self.strength is None:
            raise ValueError("say what it proves: strength, or acr with a strength for each value")
        if self.roles and self.serves != "STAFF":
            raise ValueError("roles are for serves = STAFF")
        return self

    @property
    def key(self) -> str:
        """For logs and metrics."""
        return f"{self.municipality}/{self.id}"

    @property
    def secret(self) -> str | None:
        secret = self.client_secret or self.client_secret_file
        return secret.get_secret_value() if secret else None

    @property
    def highest_strength(self) -> Strength:
        return "STRONG" if "STRONG" in (self.strength, *self.acr.values()) else "EMAIL"


class _File(_Part):
    provider: tuple[LoginProvider, ...] = ()


@dataclass(frozen=True, slots=True)
class LoginProviders:
    """In the order of the file. `digest` changes with what of them is public."""

    by_municipality: Mapping[str, Mapping[str, LoginProvider]]
    digest: str


def load_login_providers(path: Path | None) -> LoginProviders:
    """Those of a TOML file; none where there is no file. Raises SettingsError."""
    try:
        return _parse(path) if path else _grouped(())
    except ValidationError as error:
        raise _refused(path, _told(error)) from None
    except OSError as error:
        raise _refused(path, error.strerror or "can't be read") from None
    except ValueError as error:  # TOML's errors too
        raise _refused(path, str(error)) from None


def _parse(path: Path) -> LoginProviders:
    file = _File.model_validate(tomllib.loads(path.read_text("utf-8")), context={"folder": path.parent})
    return _grouped(file.provider)


def _grouped(providers: tuple[LoginProvider, ...]) -> LoginProviders:
    found: dict[str, dict[str, LoginProvider]] = {}
    for provider in providers:
        of_one = found.setdefault(provider.municipality, {})
        if provider.id in of_one:
            raise ValueError(f"provider {provider.key} is there twice")
        if len(of_one) == LARGEST_NUMBER:
            raise ValueError(f"{provider.municipality} has more than {LARGEST_NUMBER} providers")
        of_one[provider.id] = provider
    shown = repr([(each.key, each.names, each.serves, each.highest_strength) for each in providers])
    return LoginProviders(found, hashlib.blake2b(shown.encode(), digest_size=8).hexdigest())


def _told(error: ValidationError) -> str:
    """Where and what is wrong, counted from one; never the value, which may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    match first["loc"]:
        case (_, int(index), *keys):
            place = f"provider {index + 1}, {'.'.join(str(key) for key in keys)}" if keys else f"provider {index + 1}"
        case keys:
            place = ".".join(str(key) for key in keys)
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"


def _refused(path: Path | None, why: str) -> SettingsError:
    return SettingsError(f"HEITTO_LOGIN_PROVIDERS_FILE: {path}: {' '.join(why.split())}")
