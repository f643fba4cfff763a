"""Every setting, read once from the environment (prefix `HEITTO_`). Nothing else reads the environment."""

import re
from email.utils import parseaddr
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# WebAuthn needs TLS, but for the machine's own pages.
_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d+)?|http://localhost(:\d+)?")
# As browsers write it: pages of apps have schemes of their own.
_PAGE = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:\d+)?|\*")
_HOST = re.compile(r"[a-z0-9.-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?")


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class SettingsError(Exception):
    """A missing or malformed setting; the text is one line that names the variable."""


class Settings(BaseSettings):
    """Frozen; passed down from `__main__` and `app`."""

    model_config = SettingsConfigDict(env_prefix="HEITTO_", frozen=True, extra="ignore")

    database_url: str = Field("", description="PostgreSQL 18, `postgresql://…`")
    redis_url: str = Field(
        "", description="Redis 7+ or Valkey 8+: `redis://`, `rediss://`, `unix://`, `redis+cluster://`"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes any free one")
    workers: int = Field(1, ge=1, le=64, description="HTTP worker processes")
    secret_key: SecretStr = Field(SecretStr(""), description="key of HMACs (cursors, idempotency), at least 32 bytes")
    identity_key: SecretStr = Field(
        SecretStr(""),
        description="key of the HMACs by which people are recognised, at least 32 bytes, never to be changed; "
        "made from the secret key where left out",
    )
    signing_key_file: Path | None = Field(
        None, description="PEM file with the Ed25519 or P-256 key that signs access tokens"
    )
    login_providers_file: Path | None = Field(
        None, description="TOML file of the OpenID Providers that residents and staff log in with"
    )
    token_issuer: str = Field("heitto", min_length=1, description="`iss` of our access tokens")
    default_municipality: str = Field("", description="slug used when a request names no municipality")
    allowed_hosts: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, description="host names that stand for a municipality: `osallistu.ilola.example=ilola,…`"
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins of browser clients (CORS, WebSocket), comma-separated"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="addresses or networks whose `X-Forwarded-For` is believed, comma-separated"
    )
    passkey_origins: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="origins of pages on which a municipality's staff use passkeys: "
        "`https://osallistu.ilola.example=ilola,…`; its `allowed_hosts` where left out",
    )
    rate_limits: Switch = Field(Switch.ON, description="`off` only for load tests")
    introspection: Switch = Field(Switch.ON, description="`off` hides the schema and suggestions in errors")
    graphiql: Switch = Field(Switch.ON, description="the explorer page for browsers at GET /graphql")
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="`console` or `json`")
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="least severe level that is logged; `audit_head` and `account_erased` are of `info`",
    )
    export_days: int = Field(7, ge=1, le=90, description="days for which a copy of somebody's data can be downloaded")
    notification_days: int = Field(365, ge=1, description="days after which notifications are removed")
    device_days: int = Field(
        30,
        ge=8,
        description="days after which devices that signed out or expired are forgotten; longer than keys of requests",
    )
    job_log_days: int = Field(30, ge=1, description="days after which the log of jobs is removed")
    inactive_account_days: int = Field(
        730, ge=30, description="days after which accounts of devices that can't be used any more are erased"
    )
    database_pool: int = Field(8, ge=2, le=100, description="PostgreSQL connections per process")
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="mail server: `smtp://user:password@host:587` (STARTTLS where offered, always before a password; "
        "`?starttls=required` or `off`) or `smtps://…`",
    )
    mail_from: str = Field(
        "",
        validate_default=True,
        description="sender: `noreply@ilola.example`, or with a name instead of the municipality's: `Name <…>`",
    )
    mail_link: str = Field(
        "",
        validate_default=True,
        description="the app's page that takes the links of mails, e.g. `https://app.ilola.example/open`",
    )
    mail_folder: Path | None = Field(None, description="mails are written here as .eml files and not sent")
    mail_folder_days: int = Field(15, ge=1, description="days after which these files are removed")

    @property
    def mail_configured(self) -> bool:
        """Whether mails go anywhere; where not, what needs them is UNAVAILABLE."""
        return bool(self.mail_folder or self.smtp_url.get_secret_value())

    @field_validator("allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return str(ip_address("127.0.0.1" if value == "localhost" else value))
        except ValueError:
            raise ValueError("must be an IP address: 127.0.0.1, or 0.0.0.0 for all of this machine's") from None

    @field_validator("allowed_origins")
    @classmethod
    def _as_browsers_write_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((origin for origin in value if not _PAGE.fullmatch(origin)), None):
            raise ValueError(f"{wrong!r} is no origin: write https://host[:port], in small letters and without a path")
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().split("=") for part in value.split(",") if part.strip()]
        if any(len(pair) != 2 or not all(pair) for pair in pairs):
            raise ValueError("write host=municipality pairs, separated by commas")
        if wrong := next((host for host, _ in pairs if not _HOST.fullmatch(host.lower())), None):
            raise ValueError(f"{wrong!r} is no host: write host[:port], without https://")
        return {host.lower(): slug for host, slug in pairs}

    @field_validator("passkey_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().rpartition("=") for part in value.split(",") if part.strip()]
        if any(not _ORIGIN.fullmatch(origin) or not slug for origin, _, slug in pairs):
            raise ValueError("write origin=municipality pairs, separated by commas; an origin is https://host[:port]")
        return {origin: slug for origin, _, slug in pairs}

    def passkey_origins_of(self, slug: str) -> frozenset[str]:
        if self.passkey_origins:
            return frozenset(origin for origin, of in self.passkey_origins.items() if of == slug)
        return frozenset(f"https://{host}" for host, of in self.allowed_hosts.items() if of == slug)

    @field_validator("secret_key", "identity_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must be at least 32 bytes")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp_scheme(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url and not url.startswith(("smtp://", "smtps://")):
            raise ValueError("must start with smtp:// or smtps://")
        return value

    @field_validator("mail_from", "mail_link")
    @classmethod
    def _needed_to_send(cls, value: str, info: ValidationInfo) -> str:
        smtp_url = info.data.get("smtp_url")
        if not value and smtp_url and smtp_url.get_secret_value():
            raise ValueError("is needed with HEITTO_SMTP_URL")
        return value

    @field_validator("mail_from")
    @classmethod
    def _one_sender(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s@]+@[^\s@]+", parseaddr(value)[1]):
            raise ValueError("write noreply@ilola.example, or Name <noreply@ilola.example>")
        return value

    @field_validator("mail_link")
    @classmethod
    def _without_fragment(cls, value: str) -> str:
        if value and (not value.startswith(("https://", "http://")) or "#" in value):
            raise ValueError("must start with https:// and have no #")
        return value

    @field_validator("login_providers_file", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://", "redis+cluster://")):
            raise ValueError("must start with redis://, rediss://, unix:// or redis+cluster://")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value


def load_settings(*required: str, **overrides: object) -> Settings:
    """Settings from the environment; `overrides` win. Raises SettingsError in one line that names the variable."""
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type] # checked by pydantic, that is its work
    except ValidationError as error:
        first = error.errors()[0]
        name = f"HEITTO_{first['loc'][0]}".upper()
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    for name in required:
        value = getattr(settings, name)
        if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise SettingsError(f"HEITTO_{name.upper()} is not set: {Settings.model_fields[name].description}")
    return settings
