"""Reads Pabulib's `.pb` files: what cities publish of their participatory-budgeting votes.

The format (pabulib.org/format) is three tables in one UTF-8 file, META, PROJECTS and VOTES in this order, fields
between `;`, quoted as in CSV. Strict where a guess could change a count, lenient where published files differ in
writing only: see `read_pb`.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from sys import intern
from typing import BinaryIO, TypeVar

from backend.errors import HeittoError

Progress = Callable[[int, int], None]  # bytes read, bytes in all
Row = tuple[int, list[str]]  # the line it begins on, its fields; no fields: the end of the file

N = TypeVar("N", int, float, Decimal)

_SECTIONS = frozenset({"META", "PROJECTS", "VOTES"})
_NULLS = frozenset({"", "none", "null", r"\n"})
_AREAS = ("neighborhood", "neighbourhood", "subdistrict", "district", "subunit")  # the finest first
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
_AGE_GROUP = re.compile(r"\d{1,3} ?[-–] ?\d{1,3}|\d{1,3} ?\+|[<>]=? ?\d{1,3}", re.ASCII)
_COUNT = (0, 2**31 - 1)
_AMOUNT = (0, 10**15)
_SCORE = (-(10**15), 10**15)
_AGE = (0, 999)  # published files hold ages up to 224: odd, and no reason to refuse the ballot
_PROGRESS_STEP = 2**18


class MalformedBallots(HeittoError):
    """The file cannot be counted. `line` is 1-based: where the row begins, or where what is missing was due."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class VoteType(StrEnum):
    APPROVAL = "approval"
    CHOOSE_1 = "choose-1"
    ORDINAL = "ordinal"
    CUMULATIVE = "cumulative"
    SCORING = "scoring"


@dataclass(frozen=True, slots=True)
class Project:
    """`votes`: voters with this project on their ballot, as published; None where the file publishes none."""

    id: str
    name: str
    votes: int | None
    cost: Decimal | None
    category: str | None
    target: str | None
    area: str | None
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True)
class Ballot:
    """One voter. `projects` in the order of the file, each once. Either `age` in years or `age_group` ("40-59")."""

    voter_id: str
    projects: tuple[str, ...]
    age: int | None
    age_group: str | None
    sex: str | None
    area: str | None
    voting_method: str | None


@dataclass(frozen=True, slots=True)
class Election:
    """`meta` has lower-case keys; `warnings` are sentences for whoever imports the file."""

    meta: dict[str, str]
    vote_type: VoteType
    projects: tuple[Project, ...]
    ballots: tuple[Ballot, ...]
    warnings: tuple[str, ...]


def read_pb(path: Path, *, progress: Progress | None = None) -> Election:
    """The whole file, or MalformedBallots; OSError where it cannot be read.

    Raises no eyebrow at column order, unknown columns, letter case, blank lines, spaces around fields or line ends.
    Warns of what leaves the count clear: META's own counts being wrong, a META key twice (the last holds), a project
    twice on a ballot (`votes` counts voters by definition, so it counts once). A voter_id twice is refused: the format
    calls it unique, none of 2,551 published files repeats one, and as two voters one person would vote twice.
    """
    warnings: list[str] = []
    with path.open("rb") as file:
        rows = _rows(file, path.stat().st_size, progress)
        for line, _ in _section(rows, until="META"):
            raise MalformedBallots(line, "the file must begin with META")
        meta, vote_type = _meta(_section(rows, until="PROJECTS"), warnings)
        projects = _projects(_section(rows, until="VOTES"))
        ballots = _ballots(_section(rows, until=None), vote_type, projects, warnings)
    for key, found in (("num_projects", len(projects)), ("num_votes", len(ballots))):
        if meta.get(key) and int(meta[key]) != found:
            warnings.append(f"META says {key} {meta[key]}, the file has {found}")
    return Election(meta, vote_type, projects, ballots, tuple(warnings))


def published_differences(election: Election) -> list[tuple[Project, int]]:
    """Projects whose published `votes` differ from the file's own ballots, with the count over the ballots."""
    counted = Counter(project for ballot in election.ballots for project in ballot.projects)
    return [(p, counted[p.id]) for p in election.projects if p.votes is not None and p.votes != counted[p.id]]


def _lines(file: BinaryIO, size: int, progress: Progress | None, taken: list[str]) -> Iterator[str]:
    """Text lines, each also put into `taken`; at the end one empty line, which lands inside a quote left open."""
    number = done = reported = 0
    for chunk in file:
        for raw in chunk.splitlines(keepends=True):  # a lone CR ends a line too
            number += 1
            try:
                text = (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).decode()
            except UnicodeDecodeError as error:
                raise MalformedBallots(number, f"not UTF-8 at byte {error.start + 1} of the line") from error
            if "\0" in text:
                raise MalformedBallots(number, "NUL byte")
            taken.append(text)
            yield text
        done += len(chunk)
        if progress and done - reported >= _PROGRESS_STEP:
            reported = done
            progress(done, size)
    if progress:
        progress(done, max(done, size))
    taken.append("")
    yield ""


def _rows(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[Row]:
    """Rows that hold anything, then one without fields, on the last line.

    A published file has `"Odkupmy" i my` as a field, so text after a closing quote is let through, but only within one
    line: over several it is the sign of a quote left open, which would swallow rows up to the next one.
    """
    taken: list[str] = []
    reader = csv.reader(_lines(file, size, progress, taken), delimiter=";", skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        taken.clear()
        try:
            row = [field.strip() for field in next(reader)]
            if len(taken) > 1:
                next(csv.reader(taken, delimiter=";", skipinitialspace=True, strict=True))
        except StopIteration:
            yield max(reader.line_num - 1, 1), []
            return
        except csv.Error as error:
            raise MalformedBallots(line, f"quoting: {error}") from error
        if any(row):
            yield line, row


def _section(rows: Iterator[Row], until: str | None) -> Iterator[Row]:
    """Rows before the title `until`, which is consumed; None: before the end of the file."""
    empty = until != "META"  # nothing belongs before that one; any other has at least a header
    for line, row in rows:
        title = row[0].upper() if row and not any(row[1:]) else ""
        if not row and until:
            raise MalformedBallots(line, f"the file ends without {until}")
        if not row or title == until:
            if empty:
                raise MalformedBallots(line, "the section that ends here is empty")
            return
        if title in _SECTIONS:
            raise MalformedBallots(line, f"{title} is out of place: META, PROJECTS, VOTES, each once")
        empty = False
        yield line, row


def _meta(rows: Iterator[Row], warnings: list[str]) -> tuple[dict[str, str], VoteType]:
    meta: dict[str, str] = {}
    line = 1
    for index, (line, row) in enumerate(rows):
        if index == 0 and [field.lower() for field in row[:2]] == ["key", "value"]:
            continue  # older files go without this header
        key, value = row[0].lower(), row[1] if len(row) > 1 else ""
        if any(row[2:]):
            raise MalformedBallots(line, f"{len(row)} fields in META, where a row is key;value")
        if key in meta:
            warnings.append(f"META has {key} again on line {line}: the last one holds")
        if key in ("num_projects", "num_votes") and value:
            value = str(_number(line, key, value, int, _COUNT))
        if key == "vote_type" and value.lower() not in set(VoteType):
            raise MalformedBallots(line, f"unknown vote_type {value!r}: known are {', '.join(VoteType)}")
        meta[key] = value
    if "vote_type" not in meta:
        raise MalformedBallots(line, "META ends without vote_type")
    return meta, VoteType(meta["vote_type"].lower())


def _records(rows: Iterator[Row], *required: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by column name, the header's own first. Empty fields after the last column are spreadsheets' leavings."""
    width = 0
    names: list[str] = []
    for line, row in rows:
        if not width:
            width = max(place for place, name in enumerate(row, 1) if name)
            names = [name.lower() for name in row[:width]]
            if lacking := [name for name in required if name not in names]:
                raise MalformedBallots(line, f"the header lacks {', '.join(lacking)}")
            if len(set(names)) < len(names):
                raise MalformedBallots(line, "the header names a column twice")
        if len(row) < width or any(row[width:]):
            raise MalformedBallots(line, f"{len(row)} fields where the header has {width}")
        yield line, dict(zip(names, row, strict=False))


def _projects(rows: Iterator[Row]) -> tuple[Project, ...]:
    records = _records(rows, "project_id")
    header_line, _ = next(records)
    projects: dict[str, Project] = {}
    for line, record in records:
        project_id = record["project_id"]
        if not project_id or "," in project_id:
            raise MalformedBallots(line, f"{project_id!r} is no project_id: ballots list them between commas")
        if project_id in projects:
            raise MalformedBallots(line, f"project_id {project_id!r} again")
        projects[project_id] = Project(
            id=project_id,
            name=_text(record, "name") or project_id,
            votes=_number(line, "votes", _text(record, "votes"), int, _COUNT),
            cost=_number(line, "cost", _text(record, "cost"), Decimal, _AMOUNT),
            category=_text(record, "category", "categories"),
            target=_text(record, "beneficiaries", "target"),  # renamed in April 2026
            area=_text(record, *_AREAS),
            latitude=_number(line, "latitude", _text(record, "latitude"), float, (-90, 90)),
            longitude=_number(line, "longitude", _text(record, "longitude"), float, (-180, 180)),
        )
    if not projects:
        raise MalformedBallots(header_line, "no projects under this header")
    return tuple(projects.values())


def _ballots(
    rows: Iterator[Row], vote_type: VoteType, projects: tuple[Project, ...], warnings: list[str]
) -> tuple[Ballot, ...]:
    with_points = vote_type in (VoteType.CUMULATIVE, VoteType.SCORING)
    allowed = _AMOUNT if vote_type is VoteType.CUMULATIVE else _SCORE
    known = {project.id: project.id for project in projects}  # one string per id, however many ballots hold it
    ballots: dict[str, Ballot] = {}
    repeats: list[int] = []
    records = _records(rows, "voter_id", "vote", *(["points"] if with_points else []))
    next(records)
    for line, record in records:
        voter_id = record["voter_id"]
        if not voter_id or voter_id in ballots:
            raise MalformedBallots(line, f"voter_id {voter_id!r} again" if voter_id else "no voter_id")
        listed, points = _list(record, "vote"), _list(record, "points")
        for project in listed:
            if project not in known:
                raise MalformedBallots(line, f"unknown project {project!r} on the ballot")
        # A project with 0 points stays on the ballot: `votes` is by definition counted "regardless of the points", and
        # the one published file that lists zeros (Zurich's) counts them so. Ordinal files may have points or not.
        if (with_points or points) and len(points) != len(listed):
            raise MalformedBallots(line, f"{len(points)} points for {len(listed)} projects")
        for point in points:
            _number(line, "points", point, Decimal, allowed)
        chosen = tuple(dict.fromkeys(known[project] for project in listed))
        if len(chosen) < len(listed):
            repeats.append(line)
        if vote_type is VoteType.CHOOSE_1 and len(chosen) > 1:
            raise MalformedBallots(line, f"{len(chosen)} projects on a choose-1 ballot")
        age = _text(record, "age")
        in_group = age is not None and _AGE_GROUP.fullmatch(age) is not None
        ballots[voter_id] = Ballot(
            voter_id=voter_id,
            projects=chosen,
            age=None if in_group else _number(line, "age", age, int, _AGE),
            age_group=age if in_group else None,
            sex=_text(record, "sex"),
            area=_text(record, *_AREAS),
            voting_method=_text(record, "voting_method"),
        )
    if repeats:
        warnings.append(
            f"ballots that list a project twice: {len(repeats)}, first on line {repeats[0]}; it counts once"
        )
    return tuple(ballots.values())


def _text(record: dict[str, str], *names: str) -> str | None:
    """The first of these columns that holds something, interned: a column's values repeat."""
    return next((intern(text) for name in names if (text := record.get(name, "")).lower() not in _NULLS), None)


def _list(record: dict[str, str], name: str) -> list[str]:
    return [item for part in (_text(record, name) or "").split(",") if (item := part.strip())]


def _number(line: int, what: str, text: str | None, kind: Callable[[Decimal], N], allowed: tuple[int, int]) -> N | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise MalformedBallots(line, f"{what} {text[:40]!r} is not a number")
    number = Decimal(text.replace(",", "."))
    low, high = allowed
    if not low <= number <= high:
        raise MalformedBallots(line, f"{what} {text[:40]} is not between {low} and {high}")
    if kind is int and number != int(number):
        raise MalformedBallots(line, f"{what} {text[:40]} is not a whole number")
    return kind(number)
