"""The demo municipality's content keeps the contract's rules: the loader inserts it as it stands, hence this."""

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

CONTENT = Path(__file__).parents[1] / "backend" / "demo" / "ilola.toml"

Status = Literal["OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED", "WITHDRAWN"]
Kind = Literal["RECEIPT", "ASSIGNMENT", "TRANSFER", "PART_ANSWER", "DECISION", "PROGRESS", "OUTCOME"]
LocaleTag = Literal["fi", "sv", "en"]

CLOSED_TO_VOTES = {"PLANNED", "TRIAL", "DONE", "DECLINED"}
# From, to, and the kinds of response that may do it: the contract's table of statuses. Whatever is absent is refused.
ANY_KIND: frozenset[Kind] = frozenset(
    {"RECEIPT", "ASSIGNMENT", "TRANSFER", "PART_ANSWER", "DECISION", "PROGRESS", "OUTCOME"}
)
DECISION: frozenset[Kind] = frozenset({"DECISION"})
OUTCOME: frozenset[Kind] = frozenset({"OUTCOME"})
TRANSITIONS: dict[tuple[Status, Status], frozenset[Kind]] = {
    ("OPEN", "UNDER_REVIEW"): ANY_KIND,
    ("OPEN", "PLANNED"): DECISION,
    ("OPEN", "TRIAL"): DECISION,
    ("OPEN", "DECLINED"): DECISION,
    ("UNDER_REVIEW", "OPEN"): DECISION,
    ("UNDER_REVIEW", "PLANNED"): DECISION,
    ("UNDER_REVIEW", "TRIAL"): DECISION,
    ("UNDER_REVIEW", "DECLINED"): DECISION,
    ("PLANNED", "TRIAL"): DECISION,
    ("PLANNED", "DECLINED"): DECISION,
    ("PLANNED", "DONE"): OUTCOME,
    ("TRIAL", "PLANNED"): DECISION,
    ("TRIAL", "DECLINED"): DECISION,
    ("TRIAL", "DONE"): OUTCOME,
    ("DECLINED", "OPEN"): DECISION,
}


def _tidy(text: str) -> str:
    if text != text.strip() or not unicodedata.is_normalized("NFC", text) or not text.isprintable():
        raise ValueError("not one line of composed, trimmed text")
    return text


Text = Annotated[str, AfterValidator(_tidy)]
Line = Annotated[Text, Field(min_length=1)]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[float, Field(gt=0, le=120)]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Name(Record):
    fi: Line
    sv: Line
    en: Line


class Municipality(Record):
    slug: Literal["ilola"]
    name: Name
    population: int
    time_zone: Literal["Europe/Helsinki"]
    locales: list[LocaleTag]
    vote_strength: Literal["DEVICE"]
    reaction_days: int
    answer_days: int


class Department(Record):
    key: Key
    name: Name


class Holder(Record):
    name: Line
    email: Annotated[str, Field(pattern=r"^[a-z]+\.[a-z]+@ilola\.example$")]
    phone: Annotated[str, Field(pattern=r"^\+358 40 000 00\d\d$")]


class Post(Record):
    key: Key
    department: Key
    title: Name
    coordinator: bool = False
    holder: Holder


class Theme(Record):
    key: Key
    name: Name
    department: Key
    general: bool = False


class District(Record):
    key: Key
    name: Name


class Responsibility(Record):
    department: Key
    theme: Key | None = None
    district: Key | None = None
    post: Key


class Resident(Record):
    key: Key
    display_name: Line
    strength: Literal["DEVICE", "EMAIL", "STRONG"]


class Group(Record):
    key: Key
    display_name: Line
    kind: Literal["INFORMAL", "REGISTERED"]
    description: Line
    approves_members: bool
    contacts: Annotated[list[Key], Field(min_length=1)]
    members: list[Key]
    pending: list[Key] = []


class Location(Record):
    latitude: Annotated[float, Field(ge=62.7, le=63.1)]
    longitude: Annotated[float, Field(ge=22.3, le=22.9)]


class Response(Record):
    days_after: Days
    post: Key
    kind: Kind
    body: Line
    reasons: Line | None = None
    next_step: Line | None = None
    next_step_due_days: Annotated[int, Field(ge=1, le=60)] | None = None
    new_status: Status | None = None
    to_department: Key | None = None
    to_post: Key | None = None


class Idea(Record):
    title: Annotated[Line, Field(max_length=140)]
    body: Annotated[Text, Field(max_length=10_000)]
    locale: LocaleTag
    theme: Key
    district: Key | None = None
    author: Key
    group: Key | None = None
    location: Location | None = None
    days_ago: Annotated[float, Field(ge=0.05, le=120)]
    votes: Annotated[int, Field(ge=0, le=180)]
    recent_share: Share | None = None
    responses: list[Response] = []
    withdrawn: bool = False
    hidden: Line | None = None


class Content(Record):
    municipality: Municipality
    departments: list[Department]
    posts: list[Post]
    themes: list[Theme]
    districts: list[District]
    responsibilities: list[Responsibility]
    residents: list[Resident]
    groups: list[Group]
    ideas: list[Idea]

    def department_of(self, post: str) -> str:
        return next(row.department for row in self.posts if row.key == post)

    def coordinator(self) -> str:
        return next(row.key for row in self.posts if row.coordinator)

    def responsible(self, department: str, *, theme: str, district: str | None) -> str:
        """The post that answers; the most specific rule wins: theme and district, theme, district, neither."""
        rules = {(row.department, row.theme, row.district): row.post for row in self.responsibilities}
        candidates = [(theme, district), (theme, None), (None, district), (None, None)]
        return next(rules[department, *scope] for scope in candidates if (department, *scope) in rules)


@cache
def content() -> Content:
    return Content.model_validate(tomllib.loads(CONTENT.read_text(encoding="utf-8")))


@dataclass
class Case:
    """An idea's state while its responses are read one by one."""

    status: Status
    department: str
    post: str
    decided: bool = False
    votes_closed_days_ago: float | None = None


def follow(idea: Idea) -> Case:
    """Applies the responses in turn, asserting that each was allowed when it was made."""
    everything = content()
    department = next(theme.department for theme in everything.themes if theme.key == idea.theme)
    case = Case("OPEN", department, everything.responsible(department, theme=idea.theme, district=idea.district))
    said_at = 0.0
    for response in idea.responses:
        assert said_at < response.days_after < idea.days_ago
        said_at = response.days_after
        answers_for = everything.department_of(response.post)
        assert answers_for == case.department or response.post == everything.coordinator()
        apply(response, case, idea)
    if idea.withdrawn:
        assert case.status in {"OPEN", "UNDER_REVIEW"}
        assert not case.decided
        assert said_at + 1 < idea.days_ago
        case.status = "WITHDRAWN"
        case.votes_closed_days_ago = idea.days_ago - said_at - 1
    return case


def apply(response: Response, case: Case, idea: Idea) -> None:
    assert (response.to_department is not None) == (response.kind == "TRANSFER")
    assert (response.to_post is not None) == (response.kind == "ASSIGNMENT")
    if response.to_department is not None:
        assert response.to_department != case.department
        case.department = response.to_department
        case.post = content().responsible(response.to_department, theme=idea.theme, district=idea.district)
    if response.to_post is not None:
        assert response.to_post != case.post
        assert content().department_of(response.to_post) == case.department
        case.post = response.to_post
    if response.new_status is not None:
        assert response.kind in TRANSITIONS.get((case.status, response.new_status), frozenset())
        case.status = response.new_status
        if case.status not in CLOSED_TO_VOTES:
            case.votes_closed_days_ago = None
        elif case.votes_closed_days_ago is None:
            case.votes_closed_days_ago = idea.days_ago - response.days_after
    if response.kind == "DECISION" or case.status == "DECLINED":
        assert response.reasons is not None
    case.decided = case.decided or response.kind == "DECISION"
    assert response.next_step_due_days is None or response.next_step is not None


def _references() -> Iterator[tuple[str, str, set[str]]]:
    """(where, key, keys it may name) of every reference from one table to another."""
    everything = content()
    departments = {row.key for row in everything.departments}
    posts = {row.key for row in everything.posts}
    themes = {row.key for row in everything.themes}
    districts = {row.key for row in everything.districts}
    residents = {row.key for row in everything.residents}
    groups = {row.key for row in everything.groups}
    owners: list[Post | Theme | Responsibility] = [*everything.posts, *everything.themes, *everything.responsibilities]
    named: list[tuple[str, str | None, set[str]]] = [("department", row.department, departments) for row in owners]
    for rule in everything.responsibilities:
        named += [("post", rule.post, posts), ("theme", rule.theme, themes), ("district", rule.district, districts)]
    for group in everything.groups:
        named += [(group.key, key, residents) for key in [*group.contacts, *group.members, *group.pending]]
    for idea in everything.ideas:
        named += [(idea.title, idea.theme, themes), (idea.title, idea.district, districts)]
        named += [(idea.title, idea.author, residents), (idea.title, idea.group, groups)]
        for response in idea.responses:
            named += [(idea.title, response.post, posts), (idea.title, response.to_post, posts)]
            named += [(idea.title, response.to_department, departments)]
    return ((where, key, allowed) for where, key, allowed in named if key is not None)


def test_every_reference_names_something_there() -> None:
    assert [(where, key) for where, key, allowed in _references() if key not in allowed] == []


def test_every_resident_says_something_in_public() -> None:
    spoken = {idea.author for idea in content().ideas}
    spoken |= {key for group in content().groups for key in [*group.contacts, *group.members, *group.pending]}
    assert [resident.key for resident in content().residents if resident.key not in spoken] == []


def test_keys_names_and_titles_are_unique() -> None:
    everything = content()
    speakers: list[Resident | Group] = [*everything.residents, *everything.groups]
    columns: list[list[str]] = [
        [row.key for row in everything.departments],
        [row.key for row in everything.posts],
        [row.key for row in everything.themes],
        [row.key for row in everything.districts],
        [row.key for row in everything.residents],
        [row.key for row in everything.groups],
        [row.holder.name for row in everything.posts],
        [row.holder.email for row in everything.posts],
        [row.holder.phone for row in everything.posts],
        [row.display_name.casefold() for row in speakers],
        [row.title.casefold() for row in everything.ideas],
    ]
    titles = [row.title for row in everything.posts]
    named: list[list[Department] | list[Theme] | list[District]]
    named = [everything.departments, everything.themes, everything.districts]
    for names in [titles, *([row.name for row in rows] for rows in named)]:
        columns += [[name.fi for name in names], [name.sv for name in names], [name.en for name in names]]
    assert [value for column in columns for value, count in Counter(column).items() if count > 1] == []


def test_the_municipality_is_that_of_the_contract() -> None:
    municipality = content().municipality
    assert (municipality.population, municipality.reaction_days, municipality.answer_days) == (18432, 7, 30)
    assert municipality.locales == ["fi", "sv", "en"]


def test_tables_have_the_agreed_sizes() -> None:
    everything = content()
    assert 5 <= len(everything.departments) <= 6
    assert 10 <= len(everything.posts) <= 12
    assert 9 <= len(everything.themes) <= 11
    assert 7 <= len(everything.districts) <= 8
    assert 28 <= len(everything.residents) <= 34
    assert 8 <= len(everything.groups) <= 9
    assert {group.kind for group in everything.groups} == {"INFORMAL", "REGISTERED"}
    assert Counter(idea.locale for idea in everything.ideas) == {"fi": 38, "sv": 12, "en": 12}


def test_the_first_theme_and_no_other_is_the_general_one() -> None:
    assert [theme.key for theme in content().themes if theme.general] == [content().themes[0].key]


def test_the_general_theme_leads_to_the_one_coordinator_in_every_district() -> None:
    everything = content()
    general = everything.themes[0]
    coordinators = [post.key for post in everything.posts if post.coordinator]
    assert len(coordinators) == 1
    assert everything.department_of(coordinators[0]) == general.department
    for district in [None, *(row.key for row in everything.districts)]:
        assert everything.responsible(general.department, theme=general.key, district=district) == coordinators[0]


def test_the_coordinators_department_has_further_themes() -> None:
    everything = content()
    assert sum(theme.department == everything.themes[0].department for theme in everything.themes[1:]) in {2, 3}


def test_every_department_has_a_post_and_one_post_answering_for_the_rest() -> None:
    everything = content()
    departments = {row.key for row in everything.departments}
    heads = [row.department for row in everything.responsibilities if row.theme is None and row.district is None]
    assert sorted(heads) == sorted(departments)
    assert {post.department for post in everything.posts} == departments


def test_responsibilities_stay_within_their_department_and_do_not_compete() -> None:
    everything = content()
    theme_owner = {theme.key: theme.department for theme in everything.themes}
    scopes = [(rule.department, rule.theme, rule.district) for rule in everything.responsibilities]
    assert len(scopes) == len(set(scopes))
    for rule in everything.responsibilities:
        assert everything.department_of(rule.post) == rule.department
        assert rule.theme is None or theme_owner[rule.theme] == rule.department


def test_each_width_of_responsibility_is_used() -> None:
    widths = {(rule.theme is not None, rule.district is not None) for rule in content().responsibilities}
    assert widths == {(False, False), (False, True), (True, False), (True, True)}


def test_registered_groups_approve_their_members() -> None:
    assert [group.key for group in content().groups if group.kind == "REGISTERED" and not group.approves_members] == []


def test_nobody_is_in_a_group_twice_or_waits_for_an_open_one() -> None:
    for group in content().groups:
        people = [*group.contacts, *group.members, *group.pending]
        assert len(people) == len(set(people)), group.key
        assert group.approves_members or not group.pending, group.key


@pytest.mark.parametrize("idea", content().ideas, ids=lambda idea: idea.title)
def test_an_idea_keeps_the_rules_of_its_kind(idea: Idea) -> None:
    case = follow(idea)
    if idea.group is not None:
        group = next(row for row in content().groups if row.key == idea.group)
        assert idea.author in [*group.contacts, *group.members]
    assert (idea.recent_share is not None) == (idea.days_ago > 30)
    if case.votes_closed_days_ago is not None and case.votes_closed_days_ago > 30:
        assert idea.recent_share == 0


def test_every_status_and_every_kind_of_response_occurs() -> None:
    statuses = Counter(follow(idea).status for idea in content().ideas)
    assert set(statuses) == {"OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED", "WITHDRAWN"}
    assert statuses.most_common(1)[0][0] == "OPEN"
    assert {response.kind for idea in content().ideas for response in idea.responses} == ANY_KIND
    assert sum(idea.hidden is not None for idea in content().ideas) == 1
    assert [idea.title for idea in content().ideas if idea.hidden is not None and idea.withdrawn] == []


def test_some_answers_and_some_receipts_are_late_and_many_ideas_are_fresh() -> None:
    everything = content()
    deadline = everything.municipality
    live = [idea for idea in everything.ideas if not idea.withdrawn and idea.hidden is None]
    # A deadline is the end of its local day; a day more puts these past it at any hour.
    unanswered = [idea for idea in live if idea.days_ago > deadline.answer_days + 1 and not follow(idea).decided]
    unseen = [idea for idea in live if idea.days_ago > deadline.reaction_days + 1 and not idea.responses]
    assert len(unanswered) == 7
    assert len(unseen) == 4
    assert len(set(map(id, unanswered)) & set(map(id, unseen))) == 1
    assert sum(idea.days_ago <= 7 for idea in live) >= 12


def test_votes_have_a_long_tail_and_ties() -> None:
    votes = sorted((idea.votes for idea in content().ideas), reverse=True)
    assert votes[0] > 150
    assert votes[-1] == 0
    assert votes[len(votes) // 2] < votes[0] / 2
    assert 2 <= len(votes) - len(set(votes)) <= 12
