"""Who is calling, and where: from headers to a caller."""

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from uuid import UUID

from backend.auth.network import caller_network, parse_trusted_proxies
from backend.auth.tokens import LEEWAY_SECONDS, Claims, verify_access_token
from backend.context import Context
from backend.db import residents
from backend.db.municipalities import Catalogue
from backend.db.pool import acquire
from backend.errors import NoMunicipality, Unauthenticated, Unavailable, WrongMunicipality
from backend.messages import best_locale
from backend.provenance import noted
from backend.realtime.connections import Connection
from backend.services import Services
from backend.settings import Settings, Switch
from backend.transport import gate
from backend.viewer import ANYBODY, Viewer

_PREFIX = "bearer "


@dataclass(slots=True)  # not frozen, as all that is made for each request: it would take three times as long
class Caller:
    """One admitted request or socket."""

    catalogue: Catalogue
    viewer: Viewer
    locale: str
    network: str
    expires_at: float | None
    since: int  # the newest revocations that were known when the roles were looked up

    @property
    def scope(self) -> tuple[UUID, str, str]:
        return self.catalogue.id, self.locale, self.catalogue.version

    @property
    def signed_in(self) -> bool:
        return self.viewer.resident_id is not None


class Gate:
    """Made with the application; opened when the process has its services."""

    services: Services

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._proxies = parse_trusted_proxies(settings.trusted_proxies)

    def open(self, services: Services) -> None:
        self.services = services

    async def admit(
        self,
        *,
        authorization: Sequence[str],
        municipality: str | None,
        host: str | None,
        accept_language: str | None,
        peer: str | None,
        forwarded_for: str | None,
    ) -> Caller:
        """Raises Unauthenticated, NoMunicipality, WrongMunicipality, Unavailable."""
        claims, revocations = self._claims(authorization), self.services.revocations
        if claims:
            if not revocations.verified:
                await revocations.verify()
            if revocations.revoked(claims.session_id, claims.resident_id):
                raise Unauthenticated
        since = revocations.sequence
        slug = (
            municipality
            or self._settings.allowed_hosts.get((host or "").lower())
            or (claims and claims.municipality)
            or self._settings.default_municipality
            or await self._only_one()
        )
        municipality_id = await self.services.catalogues.id_of(slug) if slug else None
        if municipality_id is None:
            raise NoMunicipality
        if claims and claims.municipality != slug:
            raise WrongMunicipality
        catalogue = await self.services.catalogues.get(municipality_id)
        return Caller(
            catalogue,
            await self._viewer(claims, municipality_id),
            best_locale(accept_language, catalogue.locales),
            caller_network(peer, forwarded_for or "", trusted=self._proxies),
            claims.expires_at if claims else None,
            since,
        )

    def _claims(self, authorization: Sequence[str]) -> Claims | None:
        if not authorization:
            return None
        if len(authorization) > 1 or authorization[0][: len(_PREFIX)].lower() != _PREFIX:
            raise Unauthenticated
        token = authorization[0][len(_PREFIX) :].strip()
        return verify_access_token(self.services.keys, token, issuer=self._settings.token_issuer)

    async def _only_one(self) -> str | None:
        slugs = await self.services.catalogues.ids()
        return next(iter(slugs)) if len(slugs) == 1 else None

    async def _viewer(self, claims: Claims | None, municipality_id: UUID) -> Viewer:
        """Residents are believed; a token that claims more is held against the roles of now."""
        if claims is None:
            return ANYBODY
        if claims.roles <= {"RESIDENT"}:
            return Viewer(claims.resident_id, session_id=claims.session_id)
        async with acquire(self.services.pool) as conn:
            held = await residents.roles(conn, municipality_id=municipality_id, resident_id=claims.resident_id)
        return Viewer(claims.resident_id, held & claims.roles, claims.session_id)

    def stands(self, caller: gate.Caller) -> bool:
        assert isinstance(caller, Caller)  # noqa: S101 # whom this gate admitted
        return not caller.signed_in and self.services.catalogues.stands(caller.catalogue)

    def ending(self, caller: gate.Caller) -> gate.Ending | None:
        assert isinstance(caller, Caller)  # noqa: S101 # whom this gate admitted
        viewer, revocations = caller.viewer, self.services.revocations
        if viewer.resident_id is None:
            return None
        if revocations.revoked(viewer.session_id, viewer.resident_id):
            return gate.Ending.FORBIDDEN
        return gate.Ending.RECONNECT if revocations.roles_changed(viewer.resident_id, caller.since) else None

    async def charge(self, caller: gate.Caller, points: int) -> None:
        """Raises RateLimited."""
        assert isinstance(caller, Caller)  # noqa: S101 # whom this gate admitted
        if caller.catalogue.rate_limits_lifted:
            return
        await self.services.limiter.charge(
            municipality_id=caller.catalogue.id,
            resident_id=caller.viewer.resident_id,
            network=caller.network,
            points=points,
        )

    def hold(self, caller: gate.Caller, kind: Connection) -> AbstractAsyncContextManager[None]:
        assert isinstance(caller, Caller)  # noqa: S101 # likewise
        if caller.catalogue.rate_limits_lifted or self._settings.rate_limits is Switch.OFF:
            return nullcontext()
        return self.services.connections.hold(
            kind, municipality_id=caller.catalogue.id, account=caller.viewer.resident_id, network=caller.network
        )

    def context(self, caller: gate.Caller, request_id: str, *, live: bool = False) -> Context:
        """Raises Unauthenticated once the token has ended or was called back, Unavailable where nobody knows that."""
        assert isinstance(caller, Caller)  # noqa: S101 # likewise
        if caller.expires_at is not None:
            if caller.expires_at + LEEWAY_SECONDS < time.time():
                raise Unauthenticated
            self._check(caller)
        if sources := noted():
            sources.ids.add(caller.catalogue.id.hex)
            sources.day_ends = caller.catalogue.day_ends().timestamp()
        return Context(self.services, caller.catalogue, caller.viewer, caller.locale, request_id, caller.network, live)

    def _check(self, caller: Caller) -> None:
        # Not for other roles: a request has just been admitted with those of now, and what is open ends by itself.
        if self.ending(caller) is gate.Ending.FORBIDDEN:
            raise Unauthenticated
        if self.services.revocations.stale:
            raise Unavailable
