"""Loads a participatory-budgeting file: options become ideas, voters residents known to this import only.

Runs in one transaction of the caller's, so that whatever fails leaves nothing behind.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from backend.db import imports, municipalities
from backend.db.imports import OptionRow, VoterRow
from backend.db.municipalities import Catalogue, DistrictRow, ThemeRow
from backend.db.pool import Connection
from backend.db.votes import recount
from backend.errors import HeittoError
from backend.imports import places
from backend.imports.progress import Report, tracked
from backend.pabulib import Ballot, Election, Project, read_pb

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_TITLE, _LONGEST_BODY = 500, 10_000
_LONGEST_LIST = 200  # of themes, of districts


class ImportRefused(HeittoError):
    """What was asked cannot be done; nothing was written."""


@dataclass(frozen=True, slots=True)
class Imported:
    """`idea_ids` by project id; `resident_ids` and `strength` are those of the ballots, in the file's order."""

    municipality_id: UUID
    import_id: UUID
    idea_ids: Mapping[str, UUID]
    resident_ids: Sequence[UUID]
    strength: str


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was read."""

    name: str
    sha256: bytes
    election: Election


def read_file(path: Path, report: Report) -> File:
    """Raises MalformedBallots naming the line, and OSError."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").digest()
    election = read_pb(path, progress=lambda done, size: report(f"Reading {path.name}, bytes", done, size))
    return File(path.name, sha256, election)


async def import_ballots(conn: Connection, *, slug: str, file: File, report: Report) -> Imported:
    """Ideas, voters and votes into the municipality `slug`, which is made where it is missing.

    Raises ImportRefused where the municipality already holds this file.
    """
    await imports.lift_timeouts(conn)
    made = await _make(conn, slug, file.election, for_replay=False)
    municipality_id = made or await imports.hold_municipality(conn, slug=slug)
    imported, catalogue = await _load(conn, municipality_id, file, report)
    ballots = file.election.ballots
    count = sum(len(ballot.projects) for ballot in ballots)
    await imports.copy_votes(
        conn,
        municipality_id=municipality_id,
        strength=imported.strength,
        cast_at=places.closing_time(file.election.meta, catalogue.time_zone, now=datetime.now(UTC)),
        votes=tracked(_votes(ballots, imported), report, "Votes", count),
    )
    # The recount covers ideas that were there before: a vote cast meanwhile must not be lost from their tallies.
    await imports.hold_ideas(conn, municipality_id=municipality_id)
    await recount(conn, municipality_id=municipality_id)
    return imported


async def prepare_replay(conn: Connection, *, slug: str, file: File, report: Report) -> Imported:
    """The same without votes, in a municipality of its own whose rate limits are lifted.

    Raises ImportRefused where there is a municipality of that name.
    """
    await imports.lift_timeouts(conn)
    municipality_id = await _make(conn, slug, file.election, for_replay=True)
    if municipality_id is None:
        raise ImportRefused(f"municipality {slug} is there already: a replay needs a fresh one")
    imported, _ = await _load(conn, municipality_id, file, report)
    return imported


async def _make(conn: Connection, slug: str, election: Election, *, for_replay: bool) -> UUID | None:
    if not _SLUG.fullmatch(slug):
        raise ImportRefused(f"{slug!r} is no slug: lower-case letters a to z, digits and hyphens, at most 63")
    meta = election.meta
    return await imports.make_municipality(
        conn,
        slug=slug,
        name=meta.get("unit") or meta.get("description") or slug,
        locale=places.locale(meta),
        time_zone=places.time_zone(meta),
        rate_limits_lifted=for_replay,
    )


async def _load(conn: Connection, municipality_id: UUID, file: File, report: Report) -> tuple[Imported, Catalogue]:
    """Everything but the votes. Voters come first: adding ideas holds up whoever submits one."""
    election, locale = file.election, places.locale(file.election.meta)
    try:
        import_id = await imports.record_import(
            conn, municipality_id=municipality_id, file_sha256=file.sha256, file_name=file.name, meta=election.meta
        )
    except asyncpg.UniqueViolationError as error:
        raise ImportRefused(f"the municipality already holds {file.name}") from error
    catalogue = await _catalogue_with_offices(conn, municipality_id, election.projects, locale)
    resident_ids = await imports.new_ids(conn, count=len(election.ballots))
    names = ((id, f"Voter {number}") for number, id in enumerate(resident_ids, 1))
    await imports.copy_residents(
        conn,
        municipality_id=municipality_id,
        locale=locale,
        strength=catalogue.vote_strength,
        names=tracked(names, report, "Voters", len(resident_ids)),
    )
    await imports.copy_voters(
        conn,
        municipality_id=municipality_id,
        import_id=import_id,
        voters=(
            VoterRow(id, ballot.voter_id, ballot.age, ballot.age_group, ballot.sex, ballot.area)
            for id, ballot in zip(resident_ids, election.ballots, strict=True)
        ),
    )
    idea_ids = await imports.new_ids(conn, count=len(election.projects))
    options = list(_options(election.projects, idea_ids, catalogue))
    await imports.add_ideas(conn, municipality_id=municipality_id, import_id=import_id, locale=locale, options=options)
    by_project = {option.project_id: option.idea_id for option in options}
    return Imported(municipality_id, import_id, by_project, resident_ids, catalogue.vote_strength), catalogue


async def _catalogue_with_offices(
    conn: Connection, municipality_id: UUID, projects: Sequence[Project], locale: str
) -> Catalogue:
    """The municipality with the themes and districts that the file names, each list added to if all of them fit."""
    catalogue = await municipalities.catalogue(conn, municipality_id)
    assert catalogue  # noqa: S101 # made or locked in this transaction
    for wanted, present, add in (
        (map(_category, projects), catalogue.themes, imports.add_themes),
        ((project.area for project in projects), catalogue.districts, imports.add_districts),
    ):
        known = _by_name(present.values())
        missing: dict[str, str] = {}  # the first spelling of each
        for name in wanted:
            if name and name.casefold() not in known:
                missing.setdefault(name.casefold(), name)
        if missing and len(present) + len(missing) <= _LONGEST_LIST:
            await add(conn, municipality_id=municipality_id, locale=locale, names=list(missing.values()))
    catalogue = await municipalities.catalogue(conn, municipality_id)
    assert catalogue  # noqa: S101 # as above
    return catalogue


def _by_name(rows: Iterable[ThemeRow | DistrictRow]) -> dict[str, UUID]:
    """Ids by name in any language, letter case aside."""
    return {name.casefold(): row.id for row in rows for name in row.names.values()}


def _category(project: Project) -> str | None:
    """The first of several."""
    return project.category and project.category.partition(",")[0].strip()


def _options(projects: Sequence[Project], idea_ids: Sequence[UUID], catalogue: Catalogue) -> Iterator[OptionRow]:
    themes, districts = _by_name(catalogue.themes.values()), _by_name(catalogue.districts.values())
    for project, idea_id in zip(projects, idea_ids, strict=True):
        theme_id = themes.get((_category(project) or "").casefold(), catalogue.general_theme.id)
        district_id = districts.get((project.area or "").casefold())
        department_id = catalogue.themes[theme_id].department_id
        name = unicodedata.normalize("NFC", project.name)  # as all titles are
        details = {"cost": project.cost, "category": project.category, "target": project.target, "area": project.area}
        yield OptionRow(
            idea_id=idea_id,
            title=name[:_LONGEST_TITLE],
            body=name[:_LONGEST_BODY] if len(name) > _LONGEST_TITLE else "",
            theme_id=theme_id,
            district_id=district_id,
            department_id=department_id,
            post_id=catalogue.responsible_post(department_id, theme_id=theme_id, district_id=district_id),
            latitude=project.latitude if project.longitude is not None else None,
            longitude=project.longitude if project.latitude is not None else None,
            project_id=project.id,
            published_votes=project.votes,
            details={key: str(value) for key, value in details.items() if value is not None},
        )


def _votes(ballots: Sequence[Ballot], imported: Imported) -> Iterator[tuple[UUID, UUID, str]]:
    for resident_id, ballot in zip(imported.resident_ids, ballots, strict=True):
        channel = "PAPER" if (ballot.voting_method or "").casefold() == "paper" else "IMPORT"
        for project_id in ballot.projects:
            yield imported.idea_ids[project_id], resident_id, channel
