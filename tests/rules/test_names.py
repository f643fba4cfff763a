"""C6: nobody's name passes for the municipality's, its staff's or its officials'; everybody else's name passes."""

import tomllib
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest

from backend.db.municipalities import Catalogue, DepartmentRow, OfficialRow, PostRow
from backend.demo.load import CONTENT
from backend.errors import Refusal
from backend.rules.names import check_name

NAMES = tomllib.loads((Path(__file__).parents[1] / "data" / "names.toml").read_text("utf-8"))
ILOLA = tomllib.loads(CONTENT.read_text("utf-8"))


def catalogue(**names: str) -> Catalogue:
    """The offices of Ilola, under another name where one is given."""
    posts = {item["key"]: UUID(int=n) for n, item in enumerate(ILOLA["posts"], start=100)}
    departments = {item["key"]: UUID(int=n) for n, item in enumerate(ILOLA["departments"], start=200)}
    empty: MappingProxyType[object, object] = MappingProxyType({})
    return Catalogue(
        id=UUID(int=1),
        slug="ilola",
        names=names or ILOLA["municipality"]["name"],
        population=1,
        time_zone="Europe/Helsinki",
        locales=("fi",),
        vote_strength="EMAIL",
        reaction_days=7,
        answer_days=30,
        rate_limits_lifted=False,
        districts=empty,  # type: ignore[arg-type] # of nothing
        departments={
            departments[i["key"]]: DepartmentRow(departments[i["key"]], i["name"]) for i in ILOLA["departments"]
        },
        themes=empty,  # type: ignore[arg-type] # likewise
        posts={
            posts[i["key"]]: PostRow(posts[i["key"]], departments[i["department"]], i["title"], False)
            for i in ILOLA["posts"]
        },
        officials={
            UUID(int=n): OfficialRow(UUID(int=n), posts[i["key"]], i["holder"]["name"], None, None, n != 11)
            for n, i in enumerate(ILOLA["posts"])
        },
        responsibilities=empty,  # type: ignore[arg-type] # likewise
    )


HERE = catalogue()
HELSINKI = catalogue(fi="Helsinki", sv="Helsingfors", en="Helsinki")
TURKU = catalogue(fi="Turku", sv="Åbo")
HOLDER = ILOLA["posts"][0]["holder"]["name"]  # Helmi Aallonharja


def reason(name: str, where: Catalogue = HERE, *, staff: bool = False, acts_as: UUID | None = None) -> str:
    """Why it is refused, or ''."""
    try:
        check_name(name, catalogue=where, field="displayName", staff=staff, acts_as=acts_as)
    except Refusal as refusal:
        assert (refusal.code, refusal.field) == ("INVALID", ("input", "displayName"))
        return refusal.reason
    return ""


def test_c6_ordinary_names_pass() -> None:
    residents = [item["display_name"] for item in ILOLA["residents"] + ILOLA["groups"]]
    names = NAMES["people"] + NAMES["groups"] + residents
    assert len(names) > 200
    assert {name: reason(name) for name in names if reason(name)} == {}
    assert {name: reason(name, HELSINKI) for name in names if reason(name, HELSINKI)} == {}
    assert {name: reason(name, TURKU) for name in names if reason(name, TURKU)} == {}


def test_c6_names_that_pass_for_the_municipality_are_refused() -> None:
    assert [name for name in NAMES["imitations"] if not reason(name)] == []
    for name in ("Helsingin kaupunki", "Helsingfors stad", "Helsinki", "Helsinki City", "HelsinginKaupunki"):
        assert reason(name, HELSINKI) == "name_of_municipality", name
    for name in ("Turun kaupunki", "Åbo stad", "Abo stad", "Turku", "Turunkaupunki"):
        assert reason(name, TURKU) == "name_of_municipality", name


def test_c6_names_of_officials_are_refused_however_they_are_spelled() -> None:
    assert [name for name in NAMES["officials"] if not reason(name)] == []
    assert reason("Helmi Aallonharja") == "name_of_official"


def test_officials_have_their_own_names_and_staff_may_say_what_they_are() -> None:
    assert reason(HOLDER, acts_as=UUID(int=0)) == ""
    assert reason(HOLDER, acts_as=UUID(int=1)) == reason(HOLDER, staff=True) == "name_of_official"
    assert reason("Ilolan ylläpitäjä", staff=True) == ""
    assert reason("Pirkko Talvisola") == "", "who has left the post"


@pytest.mark.parametrize(
    "mark",
    ["\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u2060", "\u3164", "\u2800", "\x07", "\U000e0041"],
)
def test_c6_what_cant_be_seen_is_refused(mark: str) -> None:
    assert reason(f"Mai{mark}ja") == "name_invisible"


def test_c6_a_word_in_two_alphabets_is_refused() -> None:
    for name in ("Mаija", "Pekkа Virtanen", "Μaija", "Ѕeppo"):
        assert reason(name) == "name_mixes_alphabets", name
    assert reason("Maija Иванова") == reason("Ω-kerho") == ""
