"""C2: every object on every path to it, as everybody. It is seen or not, and says the same, wherever one comes from."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import orjson
import pytest
from graphql import get_named_type, is_leaf_type

from backend import public
from backend.resolvers.access import POLICIES, Policy
from tests.access.asking import Asker, both
from tests.access.paths import by_id, from_the_root, inner, leaves, objects
from tests.access.towns import Town, Towns
from tests.schema_walk import node_types, selection
from tests.test_access import EVERYBODY

pytestmark = pytest.mark.anyio

# Queries that aren't for anybody, and whom they answer.
QUERIES = dict.fromkeys(("auditEntries", "staff", "invitations"), "administrator")
# Who sees an object; what isn't listed is seen by everybody.
SEEN_BY = {
    "hidden idea": "author moderator",
    "hidden idea of the group": "member moderator",  # the member threw it
    "response to the hidden idea": "author moderator",
    "notification": "author",
    "notification of a response": "author",
    "notification of another": "applicant",
    "notification about the hidden idea": "applicant",
    "session": "author",
    "session of another": "applicant",
    "passkey": "author",
    "invitation": "administrator",
}
# Of what is its owner's alone, what is always there.
OWN_FIELDS = {"Notification": "id kind createdAt", "Session": "id method createdAt lastUsedAt expiresAt"}
# For whom something stands in a field that depends on who asks; for all others it is null, false or empty.
TOLD_TO = {
    "Group.members of group": "member contact",
    "Group.viewerRole of group": "member contact applicant",
    "Idea.hiddenReason of hidden idea": "author moderator",
    "Idea.hiddenReason of hidden idea of the group": "member moderator",
    "Idea.submittedBy of group's idea": "member contact",
    "Idea.submittedBy of hidden idea of the group": "member",
    "Idea.viewerFollows of idea": "author resident device strong",
    "Idea.viewerFollows of voted idea": "author resident device strong",
    **{f"Idea.viewerFollows of {status} idea": "author" for status in ("withdrawn", "hidden", "merged", "declined")},
    "Idea.viewerFollows of group's idea": "member",
    "Idea.viewerFollows of hidden idea of the group": "member",
    "Idea.viewerVote of voted idea": "resident device strong",
    **{f"Session.deviceName of {label}": SEEN_BY[label] for label in ("session", "session of another")},
    "Notification.readAt of notification of a response": "author",
    "Notification.response of notification of a response": "author",
    "Notification.idea of notification": "author",
    "Notification.idea of notification of a response": "author",
    "Notification.idea of notification of another": "applicant",
    **{
        f"{type_name}.{field} of {label}": who
        for type_name, fields in OWN_FIELDS.items()
        for label, who in SEEN_BY.items()
        if label.startswith(type_name.lower())
        for field in fields.split()
    },
}
Told = dict[tuple[str, str, str], dict[str, set[bytes]]]
"""Of (type, id, field), by actor, what it said: more than one thing where paths differ."""


def ids_by_type(town: Town) -> Mapping[str, list[str]]:
    found = defaultdict(list)
    for thing in town.things:
        found[thing.type_name].append(thing.id)
    return found


async def told(asker: Asker, documents: list[str]) -> Told:
    found: Told = defaultdict(lambda: defaultdict(set))
    for actor in EVERYBODY:
        for document in documents:
            answer = await asker.json(document, actor=actor)
            name = document.split()[1].partition("(")[0]
            refused = {error["extensions"]["code"] for error in answer.get("errors", ())}
            allowed = name not in QUERIES or actor in QUERIES[name].split()
            assert (refused == set()) == allowed, f"{document} as {actor}: {answer}"
            assert refused <= {"UNAUTHENTICATED", "FORBIDDEN"}
            for each in objects(answer.get("data")):
                for field, value in leaves(each):
                    found[each["__typename"], each["id"], field][actor].add(orjson.dumps(value))
    return found


def test_a_query_that_is_not_for_anybody_says_for_whom() -> None:
    assert {name for name, policy in POLICIES["query"].items() if policy is not Policy.ANYBODY} == QUERIES.keys()


async def test_c2_every_path_to_an_object_shows_the_same(towns: Towns) -> None:
    here, there = both(towns)
    labels = {thing.id: thing.label for thing in towns.here.things}
    assert {*SEEN_BY} <= {*labels.values()}
    found = await told(here, [*from_the_root(towns.here.id("theme")), *by_id(ids_by_type(towns.here))])
    assert {id for _, id, _ in found} >= {*labels}, "somebody sees each"
    assert list(differing(found)) == []
    assert list(unlike(found, labels)) == []
    for (_, id, _), by_actor in found.items():
        who = SEEN_BY.get(labels.get(id, ""))
        assert who is None or by_actor.keys() <= {*who.split()}, f"{labels[id]} as {by_actor.keys()}"
    # from the other side, whoever asks sees nothing of what is here
    foreign = await told(there, [*by_id(ids_by_type(towns.here))])
    assert foreign == {}
    assert here.leaks + there.leaks == []


def differing(found: Told) -> Iterator[str]:
    """What one actor was told in two ways."""
    for (type_name, id, field), by_actor in found.items():
        for actor, values in by_actor.items():
            if len(values) > 1:
                yield f"{type_name}.{field} of {id} as {actor}: {values}"


def unlike(found: Told, labels: Mapping[str, str]) -> Iterator[str]:
    """What is SHARED, and not the same for two who see it: but for null where what would stand there isn't seen."""
    for (type_name, id, field), by_actor in found.items():
        values = {value for values in by_actor.values() for value in values}
        hidden = {orjson.dumps(each) for each, label in labels.items() if label in SEEN_BY}
        if (type_name, field) in public.SHARED and len(values - (hidden | {b"null"} if values & hidden else set())) > 1:
            yield f"{type_name}.{field} of {labels.get(id)}: {values}"


async def test_c2_an_object_is_there_by_its_id_for_those_who_may_see_it(towns: Towns) -> None:
    here, _ = both(towns)
    wrong = []
    for thing in towns.here.things:
        for actor in EVERYBODY:
            answers = [
                (await here.json(query, actor=actor))["data"]
                for query in (f'{{ node(id: "{thing.id}") {{ id }} }}', f'{{ nodes(ids: ["{thing.id}"]) {{ id }} }}')
            ]
            is_node = thing.type_name in {type_.name for type_ in node_types()}
            expected = (
                {"id": thing.id} if is_node and actor in SEEN_BY.get(thing.label, " ".join(EVERYBODY)).split() else None
            )
            if answers != [{"node": expected}, {"nodes": [expected]}]:
                wrong.append(f"{thing.label} as {actor}: {answers}")
    assert wrong == []


async def test_what_depends_on_the_viewer_is_told_to_those_listed(towns: Towns) -> None:
    here, _ = both(towns)
    types, wrong, listed = {type_.name: type_ for type_ in node_types()}, [], set()
    for type_name, name in sorted(public.VIEWERS):
        if type_name not in types:
            continue
        field = types[type_name].fields[name]
        below = get_named_type(field.type)
        asked = f"{name}{inner(type_name, name, field)} {'' if is_leaf_type(below) else selection(below, 1, inner)}"
        for thing in towns.here.of_type(type_name):
            place = f"{type_name}.{name} of {thing.label}"
            listed.add(place)
            for actor in EVERYBODY:
                answer = await here.json(
                    f'{{ node(id: "{thing.id}") {{ ... on {type_name} {{ {asked} }} }} }}', actor=actor
                )
                node = answer["data"]["node"]
                if bool(node and node[name]) != (actor in TOLD_TO.get(place, "").split()):
                    wrong.append(f"{place} as {actor}: {node}")
    assert wrong == []
    assert TOLD_TO.keys() <= listed
