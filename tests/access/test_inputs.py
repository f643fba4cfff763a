"""Every id in every input, as everything that has an id: what isn't listed is refused, and changes nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest
from graphql import get_named_type, is_input_object_type

from backend.ids import global_id
from backend.resolvers.access import ALONE
from tests.access.asking import Asker, bare, both
from tests.access.towns import Thing, Town, Towns
from tests.calls import Json
from tests.contents import contents_apart
from tests.schema_walk import SCHEMA, node_types, root_fields
from tests.test_access import EVERYBODY

pytestmark = pytest.mark.anyio

# What an id in an input may be of, and for whom; "signed in" is everybody but anonymous. To all others, and of all
# else, it is refused. A new id in an input fails the test until it has an entry.
SEEN = ("idea", "voted idea", "group's idea", "declined idea", "withdrawn idea", "merged idea")
OFFICES = ("theme", "other theme")
ACCOUNTS = [actor for actor in EVERYBODY if actor != "anonymous"]
OPEN_TO: dict[str, dict[str, str]] = {
    "endSession.sessionId": {"session": "author", "session of another": "applicant"},
    "submitIdea.themeId": dict.fromkeys(OFFICES, "signed in"),
    "submitIdea.districtId": {"district": "signed in"},
    "submitIdea.groupId": {"group": "member contact"},
    # nobody has voted for the first three but their authors; a hidden one is still its author's
    "editIdea.ideaId": {
        **dict.fromkeys(("idea", "declined idea", "hidden idea"), "author"),
        "group's idea": "contact",
    },
    "editIdea.themeId": dict.fromkeys(OFFICES, "author"),
    "editIdea.districtId": {"district": "author"},
    "withdrawIdea.ideaId": {
        **dict.fromkeys(("idea", "voted idea", "hidden idea", "withdrawn idea"), "author"),
        "group's idea": "contact",
    },
    "setVote.ideaId": dict.fromkeys(("idea", "voted idea", "group's idea"), "signed in"),
    "setFollow.subjectId": {
        **dict.fromkeys(SEEN, "signed in"),
        "hidden idea": "author moderator",
        "hidden idea of the group": "member moderator",  # the member threw it
    },
    "markNotificationsRead.upTo": {
        **dict.fromkeys(("notification", "notification of a response"), "author"),
        **dict.fromkeys(("notification of another", "notification about the hidden idea"), "applicant"),
    },
    "joinGroup.groupId": {"group": "signed in"},
    "approveMember.groupId": {"group": "contact"},
    "approveMember.residentId": dict.fromkeys(("applicant", "member", "contact"), "contact"),
    # not its one contact, while there is a member
    "leaveGroup.groupId": {"group": " ".join(actor for actor in ACCOUNTS if actor != "contact")},
    "respondToIdea.ideaId": {
        **dict.fromkeys(("idea", "voted idea", "group's idea"), "official coordinator"),
        "declined idea": "coordinator",  # it went to another department
    },
    "respondToIdea.toDepartmentId": {"other department": "official coordinator"},
    "respondToIdea.toOfficialId": {"official's post-holder": "official coordinator"},
    # known by more than a device
    "grantRole.residentId": dict.fromkeys([actor for actor in ACCOUNTS if actor != "device"], "administrator"),
    # as whom nobody's account acts yet
    "grantRole.officialId": {"other official": "administrator"},
    "inviteStaff.officialId": {"other official": "administrator"},
    "withdrawInvitation.invitationId": {"invitation": "administrator"},
    "removePasskey.passkeyId": {"passkey": "author"},
    # challenges are nothing that a town begins with
    "finishPasskeyRegistration.challengeId": {},
    "finishPasskeyLogin.challengeId": {},
    "revokeRole.residentId": dict.fromkeys(ACCOUNTS, "administrator"),
    "hideIdea.ideaId": dict.fromkeys((*SEEN, "hidden idea", "hidden idea of the group"), "moderator"),
    "showIdea.ideaId": dict.fromkeys((*SEEN, "hidden idea", "hidden idea of the group"), "moderator"),
}
# What else an input has to say for an id in it to mean anything.
WITH: dict[str, Json] = {
    "grantRole.officialId": {"role": "OFFICIAL"},
    "inviteStaff.officialId": {"role": "OFFICIAL"},
    "respondToIdea.ideaId": {"reasons": "Rahaa ei ole."},
    "respondToIdea.toDepartmentId": {"kind": "TRANSFER"},
    "respondToIdea.toOfficialId": {"kind": "ASSIGNMENT"},
}
REFUSALS = {
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "NOT_ALLOWED",
    "NOT_FOUND",
    "BAD_USER_INPUT",
    "CLOSED",
    "INVALID",
    "STRENGTH_TOO_LOW",
}
AT_ONCE = 4  # mutations in a request
MALFORMED = ("", "x", "SWRlYTo3", "SWRlYTo=", global_id("Idea", uuid4()).rstrip("=") + "A")


class Place(NamedTuple):
    """An id in an input."""

    mutation: str
    field: str

    def __str__(self) -> str:
        return f"{self.mutation}.{self.field}"


def places() -> Iterator[Place]:
    for mutation in root_fields("mutation"):
        input_type = SCHEMA.get_type(f"{mutation[0].upper()}{mutation[1:]}Input")
        assert is_input_object_type(input_type), mutation
        for name, each in input_type.fields.items():
            if get_named_type(each.type).name == "ID":
                yield Place(mutation, name)


def may(place: Place, label: str, actor: str) -> bool:
    allowed = OPEN_TO.get(str(place), {}).get(label, "")
    return allowed == "everybody" or (allowed == "signed in" and actor != "anonymous") or actor in allowed.split()


async def send(asker: Asker, actor: str, mutation: str, inputs: list[Json]) -> tuple[list[str], object]:
    """The outcome of each, in one request; and the answer."""
    names = range(len(inputs))
    type_ = f"{mutation[0].upper()}{mutation[1:]}Input!"
    given = " ".join(f"$i{n}: {type_}" for n in names)
    fields = " ".join(f"m{n}: {mutation}(input: $i{n}) {{ __typename errors {{ code message field }} }}" for n in names)
    answer = await asker.post(
        f"mutation ({given}) {{ {fields} }}", {f"i{n}": each for n, each in enumerate(inputs)}, actor=actor
    )
    said, outcomes = answer.json(), []
    for n in names:
        payload = (said.get("data") or {}).get(f"m{n}")
        codes = [
            each["extensions"]["code"]
            for each in said.get("errors", [])
            if (each.get("path") or [f"m{n}"])[0] == f"m{n}"
        ]
        codes += [each["code"] for each in payload["errors"]] if payload else []
        outcomes.append(codes[0] if codes else "done")
    return outcomes, bare(answer)


def with_id(base: Json, place: Place, id: str) -> Json:
    key = {"idempotencyKey": str(uuid4())} if "idempotencyKey" in base else {}
    return {**base, **WITH.get(str(place), {}), place.field: id, **key}


def chunks(items: list[str], place: Place) -> Iterator[list[str]]:
    size = 1 if place.mutation in ALONE else AT_ONCE
    yield from (items[start : start + size] for start in range(0, len(items), size))


def things(town: Town, place: Place) -> list[Thing]:
    """All of the types that fit there, and one of each that doesn't."""
    assert str(place) in OPEN_TO, f"list in OPEN_TO what {place} may be, and for whom"
    fitting = {thing.type_name for thing in town.things if thing.label in OPEN_TO[str(place)]}
    one_of_each = {thing.type_name: thing for thing in reversed(town.things)}
    return [thing for thing in town.things if thing.type_name in fitting or thing in one_of_each.values()]


def candidates(town: Town, place: Place) -> dict[str, str]:
    found = {thing.label: thing.id for thing in things(town, place)}
    found |= {f"no {type_.name}": global_id(type_.name, uuid4()) for type_ in node_types()}
    return found | {f"malformed {n}": text for n, text in enumerate(MALFORMED)}


@pytest.mark.parametrize("mutation", sorted({place.mutation for place in places()}))
async def test_an_id_opens_what_is_listed_and_nothing_else(towns: Towns, mutation: str) -> None:
    (here, there), wrong = both(towns), list[str]()
    for place in places():
        if place.mutation == mutation:
            wrong += [each async for each in refused(here, place)]
            wrong += [each async for each in foreign(there, place)]
    for place in places():
        if place.mutation == mutation:
            wrong += [each async for each in opened(here, place)]
    assert wrong == []
    assert here.leaks + there.leaks == []


async def refused(asker: Asker, place: Place) -> AsyncIterator[str]:
    """What is wrong where nothing is open to anybody."""
    people, ids = asker.town.people, candidates(asker.town, place)
    for actor in EVERYBODY:
        base = await people.input(place.mutation, actor)
        before = await contents_apart(people.api.conn)
        labels = [label for label in ids if not may(place, label, actor)]
        for some in chunks(labels, place):
            outcomes, _ = await send(asker, actor, place.mutation, [with_id(base, place, ids[each]) for each in some])
            for label, outcome in zip(some, outcomes, strict=True):
                if outcome not in REFUSALS:
                    yield f"{place} of {label} as {actor}: {outcome}"
        if await contents_apart(people.api.conn) != before:
            yield f"{place} as {actor} was refused and changed something"


async def foreign(asker: Asker, place: Place) -> AsyncIterator[str]:
    """What is wrong where somebody at home in one municipality names what is in the other."""
    people = asker.town.people
    named = things(asker.other, place)
    theirs = [thing.id for thing in named]
    nobodys = [global_id(thing.type_name, uuid4()) for thing in named]
    for actor in EVERYBODY:
        base = await people.input(place.mutation, actor)
        before = await contents_apart(people.api.conn)
        for some, none in zip(chunks(theirs, place), chunks(nobodys, place), strict=True):
            outcomes, answer = await send(asker, actor, place.mutation, [with_id(base, place, id) for id in some])
            same, expected = await send(asker, actor, place.mutation, [with_id(base, place, id) for id in none])
            if answer != expected or outcomes != same or not REFUSALS.issuperset(outcomes):
                yield f"{place} of {some} as {actor}: {answer}, not {expected}"
        if await contents_apart(people.api.conn) != before:
            yield f"{place} of another municipality as {actor} changed something"


async def opened(asker: Asker, place: Place) -> AsyncIterator[str]:
    """What is wrong where something is listed. What is done can be done again, so order doesn't matter."""
    people = asker.town.people
    assert {*OPEN_TO[str(place)]} <= {thing.label for thing in asker.town.things}
    for label in OPEN_TO[str(place)]:
        for actor in EVERYBODY:
            if may(place, label, actor):
                base = await people.input(place.mutation, actor)
                [outcome], _ = await send(asker, actor, place.mutation, [with_id(base, place, asker.town.id(label))])
                if outcome != "done":
                    yield f"{place} of {label} as {actor}: {outcome}, though it is listed"
