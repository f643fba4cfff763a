"""A municipality with its offices, as a TOML file tells of them: checked whole, then turned into rows.

The file has the shape of `demo/ilola.toml` as far as offices go: `[municipality]`, and lists of `[[departments]]`,
`[[posts]]`, `[[themes]]`, `[[districts]]` and `[[responsibilities]]`, which name each other by `key`.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from backend.messages import LOCALES

Line: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Locale: TypeAlias = Literal["fi", "sv", "en"]
Text: TypeAlias = Annotated[dict[Locale, Line], Field(min_length=1)]
Key: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Row: TypeAlias = dict[str, object]
IdOf: TypeAlias = Callable[[str, str], UUID]
"""The id of a kind of thing (`post`) by its key."""


class BadOffices(Exception):
    """What is wrong with a file, a line each: the path of the key, then why."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Municipality(_Table):
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    name: Text
    population: Annotated[int, Field(ge=0, lt=2**31)]
    time_zone: str = "Europe/Helsinki"
    locales: Annotated[list[Locale], Field(min_length=1)] = list(LOCALES)
    vote_strength: Literal["DEVICE", "EMAIL", "STRONG"] = "EMAIL"
    reaction_days: Annotated[int, Field(ge=1, le=3650)] = 7
    answer_days: Annotated[int, Field(ge=1, le=3650)] = 30

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("no such time zone")
        return name


class Department(_Table):
    key: Key
    name: Text


class Holder(_Table):
    name: Line
    email: Line | None = None
    phone: Line | None = None


class Post(_Table):
    key: Key
    department: Key
    title: Text
    coordinator: bool = False
    holder: Holder | None = None


class Theme(_Table):
    key: Key
    name: Text
    department: Key
    general: bool = False


class District(_Table):
    key: Key
    name: Text


class Responsibility(_Table):
    department: Key
    theme: Key | None = None
    district: Key | None = None
    post: Key


_Most: Final = Field(max_length=200)  # the API gives these lists without paging


class Offices(_Table):
    municipality: Municipality
    departments: Annotated[list[Department], Field(min_length=1), _Most]
    posts: Annotated[list[Post], Field(min_length=1)]
    themes: Annotated[list[Theme], Field(min_length=1), _Most]
    districts: Annotated[list[District], _Most] = []
    responsibilities: list[Responsibility] = []


def read_offices(text: str) -> Offices:
    """Raises BadOffices with everything that is wrong."""
    try:
        offices = Offices.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadOffices(f"not TOML: {error}") from None
    except ValidationError as error:
        raise BadOffices(
            "\n".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        ) from None
    if wrong := list(_wrong(offices)):
        raise BadOffices("\n".join(wrong))
    return offices


def _wrong(offices: Offices) -> Iterator[str]:
    """What no table can tell by itself."""
    yield from _misnamed(offices)
    terms = offices.municipality
    if terms.answer_days < terms.reaction_days:
        yield "municipality.answer_days: an answer can't be due before the first reaction"
    yield from (f"{path}: a text in {terms.locales[0]} is missing" for path in _untranslated(offices))
    for name, mark in (("posts", "coordinator"), ("themes", "general")):
        marked = sum(getattr(each, mark) for each in getattr(offices, name))
        if marked != 1:
            yield f"{name}: exactly one has {mark} = true, here {marked}"
    for number, post in enumerate(offices.posts):
        if post.coordinator and post.holder is None:
            yield f"posts.{number}.holder: the coordinator's post can't be vacant, since vacant posts fall to it"
    crowded = Counter(post.department for post in offices.posts)
    yield from (f"posts: {department!r} has {n}, and may have 200" for department, n in crowded.items() if n > 200)


def _misnamed(offices: Offices) -> Iterator[str]:
    """Keys and places that are there twice, and keys of nothing."""
    lists = {
        name: Counter(each.key for each in getattr(offices, name))
        for name in ("departments", "posts", "themes", "districts")
    }
    for name, times in lists.items():
        yield from (f"{name}: the key {key!r} is there {n} times" for key, n in times.items() if n > 1)
    for name in ("posts", "themes", "responsibilities"):
        for number, each in enumerate(getattr(offices, name)):
            for field in ("department", "theme", "district", "post"):
                key = getattr(each, field, None)
                if key is not None and key not in lists[f"{field}s"]:
                    yield f"{name}.{number}.{field}: there is no {field} {key!r}"
    places = Counter((each.department, each.theme, each.district) for each in offices.responsibilities)
    yield from (f"responsibilities: {place} is there {n} times" for place, n in places.items() if n > 1)


def _untranslated(offices: Offices) -> Iterator[str]:
    first = offices.municipality.locales[0]
    if first not in offices.municipality.name:
        yield "municipality.name"
    for name, field in (("departments", "name"), ("posts", "title"), ("themes", "name"), ("districts", "name")):
        for number, each in enumerate(getattr(offices, name)):
            if first not in getattr(each, field):
                yield f"{name}.{number}.{field}"


def keys(offices: Offices) -> list[tuple[str, str]]:
    """Kind and key of everything that needs an id of its own."""
    named: list[tuple[str, Iterable[Any]]] = [  # Any: each has a key
        ("department", offices.departments),
        ("post", offices.posts),
        ("theme", offices.themes),
        ("district", offices.districts),
        ("official", [post for post in offices.posts if post.holder]),
    ]
    return [(kind, each.key) for kind, items in named for each in items]


def rows(offices: Offices, id_of: IdOf) -> Iterator[tuple[str, list[Row]]]:
    """Rows by table, in the order in which they refer to each other; without their municipality."""
    yield (
        "districts",
        [
            {"id": id_of("district", each.key), "names": each.name, "position": n}
            for n, each in enumerate(offices.districts, start=1)
        ],
    )
    yield (
        "departments",
        [
            {"id": id_of("department", each.key), "names": each.name, "position": n}
            for n, each in enumerate(offices.departments, start=1)
        ],
    )
    places: Counter[str] = Counter()
    posts: list[Row] = []
    for post in offices.posts:
        places[post.department] += 1
        posts.append(
            {
                "id": id_of("post", post.key),
                "department_id": id_of("department", post.department),
                "titles": post.title,
                "is_coordinator": post.coordinator,
                "position": places[post.department],
            }
        )
    yield "posts", posts
    yield (
        "officials",
        [
            {"id": id_of("official", post.key), "post_id": id_of("post", post.key), **post.holder.model_dump()}
            for post in offices.posts
            if post.holder
        ],
    )
    yield (
        "themes",
        [
            {
                "id": id_of("theme", each.key),
                "names": each.name,
                "department_id": id_of("department", each.department),
                "is_general": each.general,
                "position": n,
            }
            for n, each in enumerate(offices.themes, start=1)
        ],
    )
    yield (
        "responsibilities",
        [
            {
                "department_id": id_of("department", each.department),
                "theme_id": id_of("theme", each.theme) if each.theme else None,
                "district_id": id_of("district", each.district) if each.district else None,
                "post_id": id_of("post", each.post),
            }
            for each in offices.responsibilities
        ],
    )
