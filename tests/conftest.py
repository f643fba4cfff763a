"""Real servers for every test: PostgreSQL and Valkey from wheels, a fresh database each, the application in-process."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
import redis
from starlette.applications import Starlette

from backend.app import create_app
from backend.commands import connect, migrate_database, mint_tokens
from backend.db import municipalities
from backend.db.municipalities import Catalogue
from backend.demo.load import SLUG, load_demo
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers, embedded_servers
from backend.realtime.boards import LIVE, Boards
from backend.settings import Settings, load_settings
from tests.planned.shadow import shadowed
from tests.world import add_municipality

pytest_plugins = ["tests.login.idp"]  # the login provider

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
OTHER = "muula"
COUNTING = "tests/transport/test_finished.py"  # counts how often something is executed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--differential", action="store_true", help="each query is executed by graphql-core too, and must say the same"
    )


@pytest.fixture(autouse=True)
def differential(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.config.getoption("--differential") or request.node.nodeid.startswith(COUNTING):
        yield
        return
    with shadowed() as shadow:
        yield
    compared.update(shadow.compared)
    assert shadow.differences == [], "\n".join(shadow.differences[:3])


compared: Counter[str] = Counter()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if compared:
        terminalreporter.write_line(f"Executed twice, and compared: {dict(compared)}")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    # Not pytest's own folder: root's PostgreSQL may run as nobody, who can't enter it.
    folder = Path(tempfile.mkdtemp(prefix="heitto-test-"))
    with embedded_servers(folder, durable=False) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server_url(servers: Servers) -> str:
    return servers.redis_url


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """An empty Valkey."""
    redis.Redis.from_url(servers.redis_url).flushall()
    return servers.redis_url


async def execute_sql(servers: Servers, statement: str) -> None:
    conn = await asyncpg.connect(servers.database_url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


def database(servers: Servers, name: str) -> str:
    return servers.database_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
async def template(servers: Servers) -> str:
    """A migrated database with the offices of Ilola and of another municipality; tests get clones of it."""
    await execute_sql(servers, "CREATE DATABASE template_heitto")
    url = database(servers, "template_heitto")
    await migrate_database(url)
    conn = await connect(url)
    await load_demo(conn, empty=True)
    await add_municipality(conn, OTHER)
    await conn.close()
    return "template_heitto"


@pytest.fixture
async def database_url(servers: Servers, template: str) -> AsyncIterator[str]:
    """A database of the test's own."""
    name = f"test_{uuid4().hex}"
    await execute_sql(servers, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database(servers, name)
    await execute_sql(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that sees everything, for arranging and for recounting."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def settings(servers: Servers, database_url: str, redis_url: str, providers_file: Path, tmp_path: Path) -> Settings:
    return load_settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=secret_key(servers.folder.path),
        signing_key_file=signing_key_file(servers.folder.path),
        login_providers_file=providers_file,
        default_municipality=SLUG,
        passkey_origins={f"https://{slug}.example": slug for slug in (SLUG, OTHER)},
        rate_limits="off",
        log_level="error",
        mail_folder=tmp_path / "mail",
        mail_link="https://app.ilola.example/open",
    )


@dataclass
class Api:
    """The application, asked over HTTP without a network between."""

    app: Starlette
    settings: Settings
    client: httpx2.AsyncClient
    conn: "asyncpg.Connection[asyncpg.Record]"
    catalogue: Catalogue
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(
        self,
        role: str = "RESIDENT",
        *,
        strength: str = "EMAIL",
        municipality: str = SLUG,
        department: UUID | None = None,
    ) -> str:
        """An access token of a new account."""
        [token] = await mint_tokens(
            self.settings,
            slug=municipality,
            role=role,
            strength=strength,
            count=1,
            resident="",
            department=str(department or ""),
            ttl=3600,
        )
        if role != "RESIDENT":
            await self.revocations_told()
        return token

    async def revocations_told(self) -> None:
        """Returns when what was called back is known here: also behind the API's back, where roles were given."""
        assert await self.app.state.pipeline.gate.services.revocations.look()

    async def post(
        self, query: str, variables: Json | None = None, *, token: str = "", **headers: str
    ) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["authorization"] = f"Bearer {token}"
        return await self.client.post("/graphql", json={"query": query, "variables": variables or {}}, headers=sent)

    async def data(self, query: str, variables: Json | None = None, *, token: str = "", **headers: str) -> Json:
        """The data of an answer without errors."""
        answer = (await self.post(query, variables, token=token, **headers)).json()
        assert "errors" not in answer, answer
        data: Json = answer["data"]
        return data

    async def mutate(self, name: str, input: Json, selection: str, *, token: str = "", **headers: str) -> Json:
        """The payload of one mutation, with its user errors' code and field."""
        input_type = f"{name[0].upper()}{name[1:]}Input"
        query = (
            f"mutation ($input: {input_type}!) {{ {name}(input: $input) {{ {selection} errors {{ code field }} }} }}"
        )
        payload: Json = (await self.data(query, {"input": input}, token=token, **headers))[name]
        return payload

    async def code(self, query: str, variables: Json | None = None, *, token: str = "", **headers: str) -> str:
        """The code of an answer's first error."""
        answer = (await self.post(query, variables, token=token, **headers)).json()
        code: str = answer["errors"][0]["extensions"]["code"]
        return code

    async def boards_settled(self) -> None:
        """Returns when Redis holds what PostgreSQL holds now."""
        boards = Boards(self.app.state.pipeline.gate.services.redis)
        # Not what a round would reach now: an open transaction of somebody else's may hold that back.
        position = await self.conn.fetchval("SELECT coalesce(max(changed_xid), 0) + 1 FROM idea_tallies")
        for _ in range(200):
            state = await boards.state(self.catalogue.id)
            if state and state.position >= position and state.filled >= LIVE:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the boards were not brought up to date")

    async def idea(self, *, token: str = "", **input: object) -> str:
        """The id of a new idea, thrown by a new resident where no token is given."""
        asked = {"title": "Penkki mäen päälle", "locale": "fi", "idempotencyKey": str(uuid4()), **input}
        payload = await self.mutate("submitIdea", asked, "idea { id }", token=token or await self.token())
        assert payload["errors"] == []
        idea_id: str = payload["idea"]["id"]
        return idea_id

    async def set_vote(self, idea_id: str, *, token: str, voted: bool = True, **input: object) -> Json:
        asked = {"ideaId": idea_id, "voted": voted, **input}
        return await self.mutate("setVote", asked, "idea { voteCount viewerVote { castAt counts } }", token=token)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def api(app: Starlette, settings: Settings, conn: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[Api]:
    transport = httpx2.ASGITransport(app=app)
    ilola = (await municipalities.slugs(conn))[SLUG]
    catalogue = await municipalities.catalogue(conn, ilola)
    assert catalogue
    async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
        yield Api(app, settings, client, conn, catalogue)
