import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.pabulib import Ballot, Election, MalformedBallots, Project, VoteType, published_differences, read_pb

BALLOTS = Path(os.environ.get("HEITTO_BALLOTS") or Path(__file__).parents[1].parent / "shared" / "data")

Reader = Callable[[str | bytes], Election]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    path = tmp_path_factory.mktemp("pabulib") / "ballots.pb"

    def read_text(content: str | bytes) -> Election:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_pb(path)

    return read_text


def pb(
    *votes: str,
    vote_type: str = "approval",
    header: str = "voter_id;vote",
    projects: tuple[str, ...] = ("project_id;cost", "7;100", "8;200"),
    meta: tuple[str, ...] = (),
) -> str:
    """Left at the defaults, PROJECTS is on line 4, VOTES on line 8 and the first ballot on line 10."""
    lines = ["META", "key;value", f"vote_type;{vote_type}", *meta, "PROJECTS", *projects, "VOTES", header, *votes]
    return "\n".join(lines) + "\n"


def choices(election: Election) -> list[tuple[str, ...]]:
    return [ballot.projects for ballot in election.ballots]


def test_approval_file_in_full(read: Reader) -> None:
    election = read(
        pb(
            "a1;7,8;42;F;internet;Ranta",
            "a2;;;;;",
            "a3;8;0;M;paper;",
            header="voter_id;vote;age;sex;voting_method;neighborhood",
            projects=(
                "project_id;cost;votes;name;category;target;latitude;longitude;selected",
                '7;1200,50;1;"Uimaranta; uusi ""laituri""";nature,sport;seniors;60.25;-24.5;1',
                "8;0;2;;;;;;0",
            ),
            meta=("num_projects;2", "num_votes;3", "comment;#1: a comment"),
        )
    )
    assert election == Election(
        meta={"vote_type": "approval", "num_projects": "2", "num_votes": "3", "comment": "#1: a comment"},
        vote_type=VoteType.APPROVAL,
        projects=(
            Project(
                "7", 'Uimaranta; uusi "laituri"', 1, Decimal("1200.50"), "nature,sport", "seniors", None, 60.25, -24.5
            ),
            Project("8", "8", 2, Decimal(0), None, None, None, None, None),
        ),
        ballots=(
            Ballot("a1", ("7", "8"), 42, None, "F", "Ranta", "internet"),
            Ballot("a2", (), None, None, None, None, None),
            Ballot("a3", ("8",), 0, None, "M", None, "paper"),
        ),
        warnings=(),
    )
    assert published_differences(election) == []


@pytest.mark.parametrize(
    ("vote_type", "votes", "expected"),
    [
        ("approval", ("1;7,8",), ("7", "8")),
        ("choose-1", ("1;8",), ("8",)),
        ("ordinal", ("1;8,7",), ("8", "7")),
        ("Ordinal", ("1;8,7",), ("8", "7")),
    ],
)
def test_ballots_without_points(
    read: Reader, vote_type: str, votes: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    election = read(pb(*votes, vote_type=vote_type))
    assert choices(election) == [expected]
    assert election.vote_type == vote_type.lower()


@pytest.mark.parametrize(
    ("vote_type", "points"),
    [("cumulative", "2,1"), ("cumulative", "2.5,0"), ("scoring", "0,-3"), ("ordinal", "2,1")],
)
def test_a_project_with_any_points_zero_included_is_on_the_ballot(read: Reader, vote_type: str, points: str) -> None:
    election = read(pb(f"1;7,8;{points}", "2;;", vote_type=vote_type, header="voter_id;vote;points"))
    assert choices(election) == [("7", "8"), ()]


def test_writing_habits_change_nothing(read: Reader) -> None:
    plain = pb("1;7,8", "2;8", meta=("unit;Ilola",))
    expected = read(plain)
    assert read(b"\xef\xbb\xbf" + plain.encode()) == expected
    assert read(plain.replace("\n", "\r\n")) == expected
    assert read(plain.replace("\n", "\r")) == expected
    assert read(plain.replace("\n", "\n\n \n;;\n")) == expected
    assert read(plain.replace(";", "; ").replace(",", " , ").replace("\n", " \n")) == expected
    assert read(plain.replace("\n", ";;\n")) == expected
    assert (
        read(plain.replace("META", "meta").replace("VOTES", "Votes").replace("voter_id;vote", "Voter_ID;VOTE"))
        == expected
    )
    assert read(plain.replace("key;value\n", "")) == expected
    assert read(plain.rstrip("\n")) == expected
    assert read(plain.replace("7,8", ' "7,8,"')) == expected


def test_columns_in_any_order_with_unknown_ones_between(read: Reader) -> None:
    election = read(pb("7;x;F;1;40-59", header="vote;mood;sex;voter_id;age"))
    assert election.ballots == (Ballot("1", ("7",), None, "40-59", "F", None, None),)


def test_nulls_as_published_are_absent_values(read: Reader) -> None:
    election = read(pb(r"1;7;None;\N;None;Keskusta", header="voter_id;vote;age;sex;neighborhood;district"))
    assert election.ballots == (Ballot("1", ("7",), None, None, None, "Keskusta", None),)


def test_text_after_a_closing_quote_stays_in_its_field(read: Reader) -> None:
    election = read(pb("1;7", projects=("project_id;name", '7;"Laituri" ja sauna')))
    assert election.projects[0].name == "Laituri ja sauna"


def test_what_leaves_the_count_clear_is_a_warning(read: Reader) -> None:
    election = read(pb("1;7,7,8", "2;8", meta=("num_projects;3", "num_votes;3", "unit;Ilola", "unit;Ahola")))
    assert choices(election) == [("7", "8"), ("8",)]
    assert election.meta["unit"] == "Ahola"
    assert election.warnings == (
        "META has unit again on line 7: the last one holds",
        "ballots that list a project twice: 1, first on line 14; it counts once",
        "META says num_projects 3, the file has 2",
        "META says num_votes 3, the file has 2",
    )


def test_published_totals_that_differ_are_named_with_the_count(read: Reader) -> None:
    projects = ("project_id;votes;score", "7;1;9", "8;5;9", "9;;9", "10;1;9")
    election = read(pb("1;7,8", "2;8,9", projects=projects))
    assert [(project.id, counted) for project, counted in published_differences(election)] == [("8", 2), ("10", 0)]
    assert published_differences(read(pb("1;7", projects=("project_id;score", "7;9")))) == []


LONG_NAME = ("project_id;name", '7;"one\ntwo\nthree"')

MALFORMED = [
    ("empty file", b"", 1, "the file ends without META"),
    ("text before META", b"\nhello\nMETA\n", 2, "must begin with META"),
    ("no PROJECTS", "META\nkey;value\nvote_type;approval\n", 3, "the file ends without PROJECTS"),
    ("no VOTES", "META\nvote_type;approval\nPROJECTS\nproject_id\n7\n", 5, "the file ends without VOTES"),
    ("sections out of order", "META\nvote_type;approval\nVOTES\nvoter_id;vote\n", 3, "VOTES is out of place"),
    ("section twice", pb("1;7", "PROJECTS"), 11, "PROJECTS is out of place"),
    ("VOTES without header", "META\nvote_type;approval\nPROJECTS\nproject_id\n7\nVOTES\n", 6, "is empty"),
    ("no vote_type", pb().replace("vote_type", "type"), 3, "META ends without vote_type"),
    ("unknown vote_type", pb(vote_type="lottery"), 3, "unknown vote_type 'lottery'"),
    ("META with three fields", pb(meta=("unit;Ilola;Ahola",)), 4, "3 fields in META"),
    ("num_votes in words", pb(meta=("num_votes;two",)), 4, "num_votes 'two' is not a number"),
    ("no projects", pb(projects=("project_id;cost",)), 5, "no projects"),
    ("no project_id column", pb(projects=("id;cost", "7;1")), 5, "lacks project_id"),
    ("no vote column", pb(header="voter_id;choice"), 9, "lacks vote"),
    ("no points column", pb(vote_type="cumulative"), 9, "lacks points"),
    ("column twice", pb(header="voter_id;vote;age;Age"), 9, "names a column twice"),
    ("project twice", pb(projects=("project_id", "7", "7")), 7, "project_id '7' again"),
    ("project without id", pb(projects=("project_id;cost", ";1")), 6, "is no project_id"),
    ("comma in a project id", pb(projects=("project_id;cost", "7,8;1")), 6, "is no project_id"),
    ("cost in words", pb(projects=("project_id;cost", "7;much")), 6, "cost 'much' is not a number"),
    ("cost not finite", pb(projects=("project_id;cost", "7;NaN")), 6, "cost 'NaN' is not a number"),
    ("cost below zero", pb(projects=("project_id;cost", "7;-1")), 6, "cost -1 is not between"),
    ("votes too many", pb(projects=("project_id;votes", "7;2147483648")), 6, "votes 2147483648 is not between"),
    ("votes in parts", pb(projects=("project_id;votes", "7;1.5")), 6, "votes 1.5 is not a whole number"),
    ("latitude", pb(projects=("project_id;latitude", "7;90.1")), 6, "latitude 90.1 is not between"),
    ("longitude", pb(projects=("project_id;longitude", "7;-180,1")), 6, "longitude -180,1 is not between"),
    ("field missing", pb("1;7", "2"), 11, "1 fields where the header has 2"),
    ("field too many", pb("1;7;x"), 10, "3 fields where the header has 2"),
    ("unknown project", pb("1;7", "2;7,9"), 11, "unknown project '9'"),
    ("voter without id", pb(";7"), 10, "no voter_id"),
    ("voter twice", pb("1;7", "2;8", "1;8"), 12, "voter_id '1' again"),
    ("two on a choose-1 ballot", pb("1;7,8", vote_type="choose-1"), 10, "2 projects on a choose-1 ballot"),
    ("age in words", pb("1;7;old", header="voter_id;vote;age"), 10, "age 'old' is not a number"),
    ("age below zero", pb("1;7;-4", header="voter_id;vote;age"), 10, "age -4 is not between"),
    (
        "points for nobody",
        pb("1;7;3,2", vote_type="cumulative", header="voter_id;vote;points"),
        10,
        "2 points for 1 projects",
    ),
    ("points missing", pb("1;7,8;", vote_type="scoring", header="voter_id;vote;points"), 10, "0 points for 2 projects"),
    (
        "points in words",
        pb("1;7;x", vote_type="scoring", header="voter_id;vote;points"),
        10,
        "points 'x' is not a number",
    ),
    (
        "points below zero",
        pb("1;7;-1", vote_type="cumulative", header="voter_id;vote;points"),
        10,
        "points -1 is not between",
    ),
    ("after line breaks in quotes", pb("1;7", "2;9", projects=LONG_NAME), 12, "unknown project '9'"),
    ("NUL", pb("1;7", "2;\0"), 11, "NUL byte"),
    ("Latin-1", pb("1;7", "ä;8").encode("latin-1"), 11, "not UTF-8 at byte 1"),
    ("UTF-16", pb().encode("utf-16"), 1, "not UTF-8"),
    ("quote never closed", pb('1;"7', "2;8"), 10, "quoting"),
    ("quote never closed on the last line", pb("1;7", '2;"8').rstrip("\n"), 11, "quoting"),
    ("quote closed by the next one", pb('1;"7', '2;"8"'), 10, "quoting"),
    ("field of endless length", pb("1;" + "7," * 70_000), 10, "quoting"),
]


@pytest.mark.parametrize(("content", "line", "reason"), [case[1:] for case in MALFORMED], ids=[c[0] for c in MALFORMED])
def test_a_malformed_file_is_refused_naming_the_line(
    read: Reader, content: str | bytes, line: int, reason: str
) -> None:
    with pytest.raises(MalformedBallots) as refused:
        read(content)
    assert refused.value.line == line
    assert reason in refused.value.reason
    assert str(refused.value) == f"line {line}: {refused.value.reason}"


# Pieces of real files, so that many draws get past META.
PIECES = [b"META\n", b"key;value\n", b"vote_type;", b"approval\n", b"cumulative\n", b"PROJECTS\n", b"project_id;cost\n"]
PIECES += [b"VOTES\n", b"voter_id;vote;points\n", b"1", b"7;", b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"-1e99", b" "]


@given(content=st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_either_parse_or_are_refused_with_a_line_of_the_file(read: Reader, content: bytes) -> None:
    try:
        election = read(content)
    except MalformedBallots as refused:
        assert 1 <= refused.line <= max(1, len(content.splitlines()))
    else:
        assert election.projects


@given(row=st.text(alphabet='178,;" .-e\n\r\\N', max_size=30), vote_type=st.sampled_from(VoteType))
def test_any_row_either_parses_or_is_refused_on_its_lines(read: Reader, row: str, vote_type: VoteType) -> None:
    content = pb(row, vote_type=vote_type, header="voter_id;vote;points;age")
    try:
        election = read(content)
    except MalformedBallots as refused:
        assert 10 <= refused.line <= len(content.encode().splitlines())
    else:
        assert {project for ballot in election.ballots for project in ballot.projects} <= {"7", "8"}


def real(name: str) -> Path:
    path = BALLOTS / name
    if not path.exists():
        pytest.skip(f"{name} is not in {BALLOTS}: set HEITTO_BALLOTS to a folder that holds it")
    return path


@pytest.mark.parametrize(
    ("name", "vote_type", "ballots", "projects", "chosen"),
    [
        ("Poland_Warszawa_2026.pb", "approval", 61_668, 83, 287_475),
        ("Poland_Gdynia_2020.pb", "approval", 27_073, 13, 62_882),
        ("France_Toulouse_2019.pb", "cumulative", 1_494, 30, 4_252),
    ],
)
def test_published_files_give_their_published_totals(
    name: str, vote_type: str, ballots: int, projects: int, chosen: int
) -> None:
    path = real(name)
    progress: list[tuple[int, int]] = []
    election = read_pb(path, progress=lambda done, size: progress.append((done, size)))
    assert election.vote_type == vote_type
    assert (len(election.ballots), len(election.projects)) == (ballots, projects)
    assert sum(map(len, choices(election))) == chosen
    assert sum(project.votes or 0 for project in election.projects) == chosen
    assert published_differences(election) == []
    assert election.warnings == ()
    assert progress == sorted(progress)
    assert progress[-1] == (path.stat().st_size, path.stat().st_size)


def test_a_voter_of_warszawa_keeps_age_sex_area_and_method() -> None:
    election = read_pb(real("Poland_Warszawa_2026.pb"))
    assert election.ballots[0] == Ballot(
        "217759", ("1822", "322", "1992", "1589", "1114"), 42, None, "M", "Ursynów", "internet"
    )
    assert election.projects[0].votes == 14_126
    assert election.projects[0].latitude == 52.230525518815675
