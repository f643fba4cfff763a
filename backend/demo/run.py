"""`heitto demo`: servers, schema, municipality, API and worker on one machine, and nothing left when it ends."""

import asyncio
import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import Final

from backend.commands import connect, migrate_database, mint_tokens
from backend.db import municipalities
from backend.demo.load import ACCOUNTS, SLUG, fixed_id, load_demo
from backend.embedded.folder import EmbeddedError, secret_key, signing_key_file
from backend.embedded.servers import Servers, embedded_servers
from backend.embedded.supervisor import Program, exit_on_signals, run_until_signal
from backend.settings import Settings, load_settings

TOKEN_SECONDS: Final = 86_400
HOST: Final = "127.0.0.1"


def run_demo(settings: Settings, data_dir: Path, *, port: int, workers: int, empty: bool, as_json: bool) -> None:
    """Runs until a signal. Raises EmbeddedError: the folder in use, a port taken, servers that can't start."""
    exit_on_signals()

    def say(text: str) -> None:
        if not as_json:
            print(text, flush=True)  # noqa: T201 # a command prints

    say("Heitto demo: starting PostgreSQL and Valkey ...")
    with embedded_servers(data_dir, database_url=settings.database_url, redis_url=settings.redis_url) as servers:
        port = _free_port(port)
        say("Heitto demo: bringing the database up to date ...")
        asyncio.run(_prepare(servers.database_url, empty=empty))
        base = f"http://{HOST}:{port}"
        environment = _environment(servers, data_dir, base, port=port, workers=workers)
        servers.supervisor.start(
            Program(
                name="web",
                command=[sys.executable, "-m", "backend", "serve"],
                env=environment,
                ready=lambda pid: _serves(port),
            ),
            Program(name="worker", command=[sys.executable, "-m", "backend", "worker"], env=environment),
        )
        servers.folder.announce(url=base)
        key_file = Path(environment["HEITTO_SIGNING_KEY_FILE"])
        minting = load_settings(database_url=servers.database_url, signing_key_file=key_file)
        _announce(
            servers, base, asyncio.run(_tokens(minting)), environment.get("HEITTO_MAIL_FOLDER", ""), as_json=as_json
        )
        run_until_signal()


async def _prepare(database_url: str, *, empty: bool) -> None:
    """Schema, and the demo municipality where it isn't there yet."""
    await migrate_database(database_url)
    conn = await connect(database_url)
    try:
        if SLUG not in await municipalities.slugs(conn):
            await load_demo(conn, empty=empty)
    finally:
        await conn.close()


def _environment(servers: Servers, data_dir: Path, base: str, *, port: int, workers: int) -> dict[str, str]:
    """For web and worker; what the caller has set stays."""
    folder = data_dir.resolve()
    return {
        **({} if os.environ.get("HEITTO_SMTP_URL") else {"HEITTO_MAIL_FOLDER": str(folder / "mail")}),
        "HEITTO_MAIL_LINK": f"{base}/graphql",
        "HEITTO_SECRET_KEY": secret_key(folder),
        "HEITTO_SIGNING_KEY_FILE": str(signing_key_file(folder)),
        "HEITTO_DEFAULT_MUNICIPALITY": SLUG,
        "HEITTO_PASSKEY_ORIGINS": f"http://localhost:{port}={SLUG}",
        "HEITTO_LOG_LEVEL": "warning",
        **os.environ,
        "HEITTO_DATABASE_URL": servers.database_url,
        "HEITTO_REDIS_URL": servers.redis_url,
        "HEITTO_HOST": HOST,
        "HEITTO_PORT": str(port),
        "HEITTO_WORKERS": str(workers),
    }


async def _tokens(settings: Settings) -> dict[str, str]:
    """A token for each of the demo's accounts."""
    made = {}
    for account in ACCOUNTS:
        [made[account]] = await mint_tokens(
            settings,
            slug=SLUG,
            role="RESIDENT",
            strength="EMAIL",
            count=1,
            resident=str(fixed_id("resident", account)),
            department="",
            ttl=TOKEN_SECONDS,
        )
    return made


def _announce(servers: Servers, base: str, tokens: dict[str, str], mail: str, *, as_json: bool) -> None:
    ready = {
        "graphql": f"{base}/graphql",
        "websocket": f"{base.replace('http', 'ws', 1)}/graphql",
        "stream": f"{base}/graphql/stream",
        "municipality": SLUG,
        "tokens": tokens,
        "pid": os.getpid(),
        "databaseUrl": servers.database_url,
        "redisUrl": servers.redis_url,
        "mail": mail,
    }
    if as_json:
        lines = [json.dumps(ready)]
    else:
        lines = [
            "",
            f"  Explorer and API   {ready['graphql']}",
            f"  WebSocket          {ready['websocket']}",
            f"  Events (SSE)       {ready['stream']}",
            f"  Database           {ready['databaseUrl']}",
            f"  Redis              {ready['redisUrl']}",
            f"  Mails              {mail or 'sent by HEITTO_SMTP_URL'}",
            "",
            "Tokens, good for a day:",
            "",
            *(f"  {name.upper()}={token}" for name, token in tokens.items()),
            "",
            "Ready. Ctrl-C ends everything; the data stays in " + str(servers.folder.path),
        ]
    print("\n".join(lines), flush=True)  # noqa: T201 # a command prints


def _free_port(port: int) -> int:
    """The port, or a free one for 0. Raises EmbeddedError where somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EmbeddedError(f"port {port} can't be used ({error.strerror}): choose another with --port") from None
        chosen: int = probe.getsockname()[1]
        return chosen


def _serves(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
