"""The ASGI application: every path, and what starts and ends with the process."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from importlib.metadata import version

import asyncpg
import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from backend.api import schema
from backend.auth.login_providers import load_login_providers
from backend.db.migrate import pending
from backend.db.pool import acquire, unavailable
from backend.downloads import PATH as PERSONAL_DATA
from backend.downloads import personal_data
from backend.errors import HeittoError, RequestError, Unauthenticated
from backend.gate import Gate
from backend.graphiql import explorer, explorer_routes
from backend.logs import set_up_logs
from backend.metrics import UNPLANNED
from backend.public import PUBLIC_FIELDS, viewer_dependent
from backend.realtime.redis import REDIS_FAILURES
from backend.resolvers.access import ALONE, authorize
from backend.services import Services, open_services
from backend.settings import Settings, Switch, load_settings
from backend.transport.answers import ErrorFormat
from backend.transport.finished import FinishedAnswers
from backend.transport.operations import Operations
from backend.transport.pipeline import Pipeline
from backend.transport.routes import graphql_routes

# What plain lists are expected to hold, for the cost of a document; each is bounded in the database.
LIST_SIZES = {
    "Municipality.districts": 20,
    "Municipality.themes": 20,
    "Municipality.departments": 20,
    "Department.officials": 20,
    "Idea.groups": 2,
    "Idea.votesByStrength": 3,
    "Municipality.locales": 3,
    "Municipality.loginProviders": 3,
    "Viewer.dataExports": 1,
}

GUARDS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)

_AWAY = (RequestError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger()


class Application(Starlette):
    """Starlette, with the one busy path answered ahead of its layers, which have nothing to add to it."""

    busy: Route | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.busy and scope["type"] == "http" and scope["path"] == self.busy.path:
            await self.busy.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, _guarded(send))


def _guarded(send: Send) -> Send:
    """Every answer says that it is what it is called and is for no page, unless it says something else."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(each for each in GUARDS if each[0] not in said)]
        await send(message)

    return sending


def translate(error: BaseException) -> RequestError | None:
    """What a failure below means for a caller."""
    if isinstance(error, asyncpg.ForeignKeyViolationError) and str(error.constraint_name).endswith("_resident_fkey"):
        return Unauthenticated()  # a valid token of somebody who is no more
    if isinstance(error, REDIS_FAILURES) and not isinstance(error, HeittoError):
        return unavailable(TimeoutError())
    return unavailable(error)


def create_app(settings: Settings | None = None) -> Starlette:
    """The application; settings come from the environment where none are given."""
    settings = settings or load_settings("database_url", "redis_url", "secret_key", "signing_key_file")
    set_up_logs(settings)
    operations = Operations(
        schema,
        authorize=authorize,
        public_fields=PUBLIC_FIELDS,
        viewer_dependent=viewer_dependent,
        list_sizes=LIST_SIZES,
        alone=ALONE,
        introspection=settings.introspection is Switch.ON,
        unplanned=lambda reason: UNPLANNED.labels(reason).inc(),
    )
    gate = Gate(settings)
    errors = ErrorFormat(translate)
    pipeline = Pipeline(operations, gate, errors)
    login_providers = load_login_providers(settings.login_providers_file)
    # What answers depend on and no feed tells of: the schema, and who may vouch.
    digest = hashlib.blake2b(schema.as_str().encode(), digest_size=8).hexdigest()
    build = f"{version('heitto')} {digest} {login_providers.digest}"

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        async with open_services(settings, build=build, login_providers=login_providers) as opened:
            gate.open(opened)
            opened.revocations.changed = pipeline.review
            pipeline.finished = FinishedAnswers(opened.changes, opened.answers)
            telling = asyncio.create_task(_tell_if_behind(opened))
            yield
            telling.cancel()
            pipeline.drain()

    async def readyz(request: Request) -> Response:
        del request
        return await _ready(gate.services)

    async def jwks(request: Request) -> Response:
        del request
        return _json(dict(gate.services.keys.jwks), headers={"cache-control": "public, max-age=600"})

    async def login_keys(request: Request) -> Response:
        """Ours as a client of a login provider, which registers this address."""
        clients = gate.services.login_clients.get(request.path_params["municipality"], {})
        client = clients.get(request.path_params["provider"])
        if client is None:
            return _json({"error": "no such provider"}, status=404)
        return _json({"keys": client.public_keys()}, headers={"cache-control": "public, max-age=600"})

    graphql, *other_transports = graphql_routes(
        pipeline,
        allowed_origins=settings.allowed_origins,
        graphiql=explorer if settings.graphiql is Switch.ON else None,
    )
    app = Application(
        routes=[
            graphql,
            *other_transports,
            *explorer_routes(),
            Route("/healthz", _healthz),
            Route("/readyz", readyz),
            Route("/metrics", _metrics),
            Route("/.well-known/jwks.json", jwks),
            Route("/.well-known/login/{municipality}/{provider}/jwks.json", login_keys),
            Route(PERSONAL_DATA, personal_data(gate, errors), methods=["GET"]),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=settings.allowed_origins,
                allow_methods=["GET", "POST"],
                allow_headers=[
                    "authorization",
                    "content-type",
                    "heitto-municipality",
                    "accept-language",
                    "x-request-id",
                ],
                expose_headers=["etag", "retry-after", "x-request-id"],
                max_age=600,
            )
        ]
        if settings.allowed_origins
        else [],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would send callers, and their tokens, to whatever `Host` says
    app.state.pipeline = pipeline
    if not settings.allowed_origins and isinstance(graphql, Route):  # else CORS has its say
        app.busy = graphql
    return app


async def _healthz(request: Request) -> Response:
    del request
    return _json({"status": "ok"})


async def _metrics(request: Request) -> Response:
    del request
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _tell_if_behind(services: Services) -> None:
    with contextlib.suppress(*_AWAY):
        async with acquire(services.background) as conn:
            if behind := await pending(conn):
                log.warning("database_behind", migrations=len(behind), todo="run heitto migrate")


async def _ready(services: Services) -> Response:
    """503 and which one is missing; without Redis alone the service is degraded, and ready."""
    checks = {"postgresql": "ok", "schema": "ok", "redis": "ok"}
    try:
        async with asyncio.timeout(2), acquire(services.background) as conn:
            if await pending(conn):
                checks["schema"] = "behind: run heitto migrate"
    except _AWAY:
        checks["postgresql"] = "away"
    try:
        await services.redis.ping()
    except REDIS_FAILURES:
        checks["redis"] = "away"
    failed = any(checks[part] != "ok" for part in ("postgresql", "schema"))
    status = "unavailable" if failed else "ok" if checks["redis"] == "ok" else "degraded"
    return _json({"status": status, **checks}, status=503 if failed else 200)


def _json(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
