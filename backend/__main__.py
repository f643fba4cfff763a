"""The commands. `python -m backend --help`, or `heitto --help` where installed."""

import asyncio
import os
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer

from backend.embedded.folder import EmbeddedError, running_demo, secret_key, signing_key_file
from backend.settings import Settings, SettingsError, load_settings

app = typer.Typer(
    help="Heitto: residents throw ideas and vote, the municipality answers in public.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
municipality = typer.Typer(help="Municipalities of this installation.", no_args_is_help=True)
app.add_typer(municipality, name="municipality")
DataDir = Annotated[Path, typer.Option(help="The demo's data folder; its servers are used where no URL is set.")]
DATA = Path(".heitto")
StaffRole = Literal["OFFICIAL", "COORDINATOR", "MODERATOR", "ADMINISTRATOR"]
Done = TypeVar("Done")


def fail(message: str) -> NoReturn:
    """Ends the command: what was asked could not be done."""
    print(f"heitto: {message}", file=sys.stderr)
    raise SystemExit(1)


def settings_for(data_dir: Path, *required: str, **overrides: object) -> Settings:
    """Settings from the environment; what it lacks comes from the demo that runs on `data_dir`."""
    try:
        settings = load_settings(**overrides)
        running = running_demo(data_dir)
        found: dict[str, object] = {}
        if running and not settings.database_url:
            found["database_url"] = running.database_url
        if running and not settings.redis_url:
            found["redis_url"] = running.redis_url
        if (data_dir / "secret-key").exists() and not settings.secret_key.get_secret_value():
            found["secret_key"] = secret_key(data_dir)
        if (data_dir / "signing-key.pem").exists() and not settings.signing_key_file:
            found["signing_key_file"] = signing_key_file(data_dir)
        return load_settings(*required, **overrides, **found)
    except SettingsError as error:
        fail(str(error))


def _check_schema(settings: Settings) -> None:
    """Ends the command where the database lacks something; one that is away may come back. (A server starts all the
    same, and says in `/readyz` what is missing.)"""
    import asyncpg

    from backend.commands import migrate_database
    from backend.errors import HeittoError

    try:
        behind = asyncio.run(migrate_database(settings.database_url, check=True))
    except (HeittoError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    if behind:
        fail(f"the database is behind ({len(behind)} migrations): run heitto migrate first")


def run(work: Coroutine[Any, Any, Done]) -> Done:  # Any: whatever it sends and awaits
    """Runs a command's work. What it can't do is one line and exit code 1."""
    import asyncpg

    from backend.errors import HeittoError
    from backend.realtime.redis import REDIS_FAILURES

    try:
        return asyncio.run(work)
    except (HeittoError, EmbeddedError, SettingsError) as error:
        fail(str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, *REDIS_FAILURES) as error:
        fail(f"{type(error).__name__}: {error}")


@app.command()
def demo(
    data_dir: DataDir = DATA,
    port: Annotated[int, typer.Option(help="Port of the API; 0 takes any free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="HTTP worker processes.")] = 1,
    empty: Annotated[bool, typer.Option("--empty", help="No ideas: districts, themes and officials only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="When ready, one line of JSON on stdout.")] = False,
) -> None:
    """Everything on this machine with nothing installed: servers, demo municipality, API, worker."""
    from backend.auth.login_providers import load_login_providers
    from backend.demo.run import run_demo

    try:
        settings = load_settings()
        load_login_providers(settings.login_providers_file)
        run_demo(settings, data_dir, port=port, workers=workers, empty=empty, as_json=json)
    except (EmbeddedError, SettingsError) as error:
        fail(str(error))


@app.command()
def serve(data_dir: DataDir = DATA) -> None:
    """Serves HTTP against HEITTO_DATABASE_URL and HEITTO_REDIS_URL."""
    settings = settings_for(data_dir, "database_url", "redis_url", "secret_key", "signing_key_file")
    from backend.auth.keys import load_signing_keys
    from backend.auth.login_providers import load_login_providers
    from backend.auth.network import parse_trusted_proxies
    from backend.serve import serve_http

    try:  # here, once, rather than in every worker process again and again
        load_signing_keys(settings.signing_key_file or Path())
        parse_trusted_proxies(settings.trusted_proxies)
        load_login_providers(settings.login_providers_file)
    except SettingsError as error:
        fail(str(error))
    # The server's workers are processes of their own and read the environment for themselves.
    os.environ["HEITTO_DATABASE_URL"] = settings.database_url
    os.environ["HEITTO_REDIS_URL"] = settings.redis_url
    os.environ["HEITTO_SECRET_KEY"] = settings.secret_key.get_secret_value()
    os.environ["HEITTO_SIGNING_KEY_FILE"] = str(settings.signing_key_file)
    try:  # granian would panic
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        socket.create_server((settings.host, settings.port), family=family, reuse_port=True).close()
    except OSError as error:
        fail(f"HEITTO_HOST, HEITTO_PORT: can't listen on {settings.host}, port {settings.port}: {error.strerror}")
    serve_http(settings)


@app.command()
def worker(data_dir: DataDir = DATA) -> None:
    """Runs background jobs."""
    settings = settings_for(data_dir, "database_url", "redis_url", "secret_key")
    from backend.jobs.send_mail import sending
    from backend.jobs.worker import run_worker
    from backend.logs import set_up_logs

    set_up_logs(settings)
    try:  # here, once, rather than in a worker that starts again and again
        sending(settings)
    except SettingsError as error:
        fail(str(error))
    _check_schema(settings)
    run(run_worker(settings))


@app.command()
def migrate(
    data_dir: DataDir = DATA,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether the database is behind: exit code 1.")
    ] = False,
) -> None:
    """Brings the database to the newest schema."""
    settings = settings_for(data_dir, "database_url")
    from backend.commands import migrate_database

    behind = run(migrate_database(settings.database_url, check=check))
    if check and behind:
        fail(f"the database is behind: {', '.join(behind)}")
    print("\n".join(f"applied {version}" for version in behind) or "the database is up to date")


@app.command()
def schema() -> None:
    """Prints the schema of the API (SDL)."""
    from backend.api import schema as api

    print(api.as_str())


@app.command()
def token(
    municipality: Annotated[str, typer.Option(help="Slug of the municipality.")] = "ilola",
    role: Annotated[
        str, typer.Option(help="RESIDENT, OFFICIAL, COORDINATOR, MODERATOR or ADMINISTRATOR.")
    ] = "RESIDENT",
    strength: Annotated[str, typer.Option(help="DEVICE, EMAIL or STRONG.")] = "EMAIL",
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many; a token a line.")] = 1,
    for_: Annotated[str, typer.Option("--for", help="Id of an existing resident, instead of a new one.")] = "",
    department: Annotated[
        str, typer.Option(help="Id of an official's department; the general theme's by default.")
    ] = "",
    ttl: Annotated[int, typer.Option(min=1, max=31_622_400, help="How long it is good, in seconds.")] = 86_400,
    data_dir: DataDir = DATA,
) -> None:
    """Makes a resident, or an official with a post, and prints an access token. Needs the signing key."""
    settings = settings_for(data_dir, "database_url", "signing_key_file")
    from backend.commands import mint_tokens

    tokens = run(
        mint_tokens(
            settings,
            slug=municipality,
            role=role,
            strength=strength,
            count=count,
            resident=for_,
            department=department,
            ttl=ttl,
        )
    )
    print("\n".join(tokens))


@municipality.command("set")
def municipality_set(
    slug: Annotated[str, typer.Argument(help="Slug of the municipality.")],
    vote_strength: Annotated[str, typer.Option(help="From which strength on votes count: DEVICE, EMAIL or STRONG.")],
    data_dir: DataDir = DATA,
) -> None:
    """Changes a municipality's rules. Its votes are counted anew, which voters wait for."""
    settings = settings_for(data_dir, "database_url")
    from backend.commands import set_vote_strength

    run(set_vote_strength(settings, slug=slug, strength=vote_strength))
    print(f"{slug}: votes count from {vote_strength} on")


@app.command("identity-key")
def identity_key_(data_dir: DataDir = DATA) -> None:
    """Prints the key by which people are recognised: set it as HEITTO_IDENTITY_KEY before the secret key changes."""
    settings = settings_for(data_dir, "secret_key")
    from backend.auth.identity import identity_key

    print(identity_key(settings).decode())


@municipality.command("add")
def municipality_add(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A TOML file (docs/operations.md).")],
    check: Annotated[bool, typer.Option("--check", help="Only tell what is wrong with it.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Adds a municipality with its districts, themes, departments, posts and officials, all or nothing."""
    settings = settings_for(data_dir, "database_url")
    from backend.founding import add_municipality

    print(f"{'could add' if check else 'added'} {run(add_municipality(settings, file.read_bytes(), check=check))}")


@app.command()
def invite(
    municipality: Annotated[str, typer.Option(help="Slug of the municipality.")],
    email: Annotated[str, typer.Option(help="Whose mailbox shall have the role.")],
    role: Annotated[StaffRole, typer.Option(help="What they shall be.")] = "ADMINISTRATOR",
    official: Annotated[str, typer.Option(help="Of an OFFICIAL or COORDINATOR the id of the post-holder.")] = "",
    locale: Annotated[str, typer.Option(help="Language of the mail: fi, sv or en.")] = "fi",
    show: Annotated[bool, typer.Option("--print", help="Print the link instead of mailing it.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Invites somebody to a role, as administrators do in the API: the way to a municipality's first administrator."""
    settings = settings_for(data_dir, "database_url", "secret_key")
    from backend.founding import invite_staff

    print(
        run(
            invite_staff(
                settings, slug=municipality, role=role, email=email, official=official, locale=locale, show=show
            )
        )
    )


@app.command("import-pb")
def import_pb(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .pb file (pabulib.org/format).")],
    municipality: Annotated[str, typer.Option(help="Slug of the municipality; made where missing.")] = "",
    replay: Annotated[str, typer.Option(help="URL of the GraphQL API: cast the ballots through it instead.")] = "",
    connections: Annotated[int, typer.Option(min=1, max=1024, help="Concurrent clients of a replay.")] = 64,
    data_dir: DataDir = DATA,
) -> None:
    """Loads a participatory-budgeting vote: options become ideas, voters residents known to this import only."""
    settings = settings_for(data_dir, "database_url", *(("signing_key_file",) if replay else ()))
    from backend.imports.command import run_import

    raise SystemExit(run(run_import(settings, file=file, slug=municipality, replay=replay, connections=connections)))


@app.command("rebuild-leaderboards")
def rebuild_leaderboards(data_dir: DataDir = DATA) -> None:
    """Rebuilds every leaderboard in Redis from PostgreSQL."""
    settings = settings_for(data_dir, "database_url", "redis_url")
    from backend.commands import rebuild_all_leaderboards

    run(rebuild_all_leaderboards(settings))


@app.command()
def erase(
    residents: Annotated[list[str], typer.Argument(help="Ids of accounts.")],
    municipality: Annotated[str, typer.Option(help="Slug of the municipality.")] = "ilola",
    data_dir: DataDir = DATA,
) -> None:
    """Has accounts erased by the worker: for who can't sign in, and again after a restore."""
    settings = settings_for(data_dir, "database_url")
    from backend.commands import erase_accounts

    print("\n".join(run(erase_accounts(settings, slug=municipality, residents=residents))))


@app.command("audit-verify")
def audit_verify(
    municipality: Annotated[str, typer.Option(help="Slug; every municipality where left out.")] = "",
    expect: Annotated[str, typer.Option(help="SEQUENCE:HASH of an entry that must be there, kept elsewhere.")] = "",
    data_dir: DataDir = DATA,
) -> None:
    """Proves the audit log, or names the first broken link of each chain and ends with 1."""
    settings = settings_for(data_dir, "database_url")
    from backend.verify_audit import verify_audit

    lines, whole = run(verify_audit(settings, slug=municipality, expect=expect))
    print("\n".join(lines))
    raise SystemExit(not whole)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
