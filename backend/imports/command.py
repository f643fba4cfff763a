"""The command `import-pb`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from backend.auth.keys import load_signing_keys
from backend.commands import connect
from backend.db.imports import import_totals
from backend.db.pool import Connection
from backend.imports.ballots import File, Imported, ImportRefused, import_ballots, prepare_replay, read_file
from backend.imports.casting import open_connection
from backend.imports.places import slug_of
from backend.imports.progress import Report, shown
from backend.imports.replay import Replayed, cast_ballots, signed_heads, tails
from backend.pabulib import Election, VoteType, published_differences
from backend.settings import Settings

_NAMED = 10  # projects whose totals differ; further ones are only counted


async def run_import(settings: Settings, *, file: Path, slug: str, replay: str, connections: int) -> int:
    """Imports a file, or replays it against the URL `replay`; the exit code. '' as `slug` takes the file's name.

    Raises MalformedBallots, ImportRefused, ReplayFailed, SettingsError, OSError, PostgresError.
    """
    console = Console()
    slug = slug or slug_of(file)

    conn = await connect(settings.database_url)
    try:
        with shown(console) as report:
            read = read_file(file, report)
            if replay:
                imported, replayed = await _replay(conn, settings, read, slug, replay, connections, report)
                differences = await total_differences(conn, imported, read.election)
            else:
                async with conn.transaction():
                    imported, replayed = await import_ballots(conn, slug=slug, file=read, report=report), None
                    differences = await total_differences(conn, imported, read.election)
    finally:
        await conn.close()
    totals = differences or ["totals equal: each idea has the votes of the file's ballots"]
    for line in (*_findings(read.election), *_results(read, slug, replayed), *totals):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 1 if differences else 0


async def _replay(
    conn: Connection, settings: Settings, file: File, slug: str, url: str, connections: int, report: Report
) -> tuple[Imported, Replayed]:
    if not _is_url(url):
        raise ImportRefused(f"--replay {url}: write the API's URL, such as http://127.0.0.1:8000/graphql")
    assert settings.signing_key_file  # noqa: S101 # required by the command line
    keys = load_signing_keys(settings.signing_key_file)
    (await open_connection(url)).close()  # nothing is made where nobody listens
    async with conn.transaction():
        imported = await prepare_replay(conn, slug=slug, file=file, report=report)
    replayed = await cast_ballots(
        url,
        heads=signed_heads(keys, issuer=settings.token_issuer, url=url, slug=slug, imported=imported, report=report),
        tails=tails(imported.idea_ids),
        ballots=file.election.ballots,
        connections=connections,
        report=report,
    )
    return imported, replayed


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _findings(election: Election) -> Iterator[str]:
    """What whoever imports the file should know of it."""
    for warning in election.warnings:
        yield f"warning: {warning}"
    if differences := published_differences(election):
        yield f"warning: the published totals of {len(differences)} projects differ from the ballots, which count here:"
        for project, counted in differences[:_NAMED]:
            yield f"  {project.id} {project.name[:80]}: published {project.votes:,}, on ballots {counted:,}"
        if len(differences) > _NAMED:
            yield f"  and {len(differences) - _NAMED} more"
    if election.vote_type not in (VoteType.APPROVAL, VoteType.CHOOSE_1):
        what = "ranks" if election.vote_type is VoteType.ORDINAL else "points"
        yield f"note: {election.vote_type} ballots: a project counts once for each ballot it is on, {what} are not used"


async def total_differences(conn: Connection, imported: Imported, election: Election) -> list[str]:
    """Ideas whose tally or rows are not what the ballots add up to."""
    expected = Counter(project for ballot in election.ballots for project in ballot.projects)
    totals = await import_totals(conn, municipality_id=imported.municipality_id, import_id=imported.import_id)
    return [
        f"totals differ: project {total.project_id} is on {expected[total.project_id]:,} ballots, "
        f"its idea's voteCount is {total.tally:,}, of {total.votes:,} votes in the database"
        for total in totals
        if not total.tally == total.votes == expected[total.project_id]
    ]


def _results(file: File, slug: str, replayed: Replayed | None) -> Iterator[str]:
    ballots, ideas = file.election.ballots, len(file.election.projects)
    votes = sum(len(ballot.projects) for ballot in ballots)
    yield f"{file.name} in municipality {slug}: {ideas:,} ideas, {len(ballots):,} voters, {votes:,} votes on ballots"
    if not replayed:
        return
    yield (
        f"cast {replayed.votes:,} votes of {len(ballots):,} ballots in {replayed.seconds:.1f} s: "
        f"{replayed.votes / replayed.seconds:,.0f} votes/s, {len(ballots) / replayed.seconds:,.0f} ballots/s"
    )
    p50, p95, p99, longest = replayed.percentiles(0.50, 0.95, 0.99, 1.0)
    yield f"latency of a vote: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms"
    refused = ", ".join(f"{code} {count:,}" for code, count in replayed.refused.most_common()) or "none"
    yield f"sent again: {replayed.repeats:,}; refused: {refused}"
