"""C1, C3: whoever comes from another municipality. There its ids are nobody's; here its people are nobody."""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from graphql import GraphQLInputType, get_named_type, is_list_type

from backend.ids import global_id, parse_id
from tests.access.asking import Asker, bare, both
from tests.access.live import FORBIDDEN, code, over_socket, over_stream
from tests.access.test_inputs import places
from tests.access.towns import Town, Towns
from tests.calls import Call, Json, Path, calls
from tests.contents import contents_apart
from tests.schema_walk import node_types, root_fields
from tests.test_access import EVERYBODY, MUTATIONS, named

pytestmark = pytest.mark.anyio

MALFORMED = ("", "x", "SWRlYTo3")


def names(town: Town) -> Mapping[str, str]:
    """A valid id for each argument and each type, by its name."""
    found = {type_.name: town.of_type(type_.name)[0].id for type_ in node_types()}
    found |= {f"{name[0].lower()}{name[1:]}Id": id for name, id in found.items()}
    return found | {"id": town.id("idea"), "ids": town.id("idea"), "responsibleId": found["Official"]}


def id_places() -> Iterator[tuple[Call, Path, GraphQLInputType]]:
    """Every id that a query or a subscription takes."""
    for call in calls():
        if call.kind != "mutation":
            for path, type_ in call.places():
                if get_named_type(type_).name == "ID" and not is_list_type(type_):
                    yield call, path, type_


def pairs(town: Town) -> Iterator[tuple[str, str]]:
    """Ids of a town, each with one of nobody's; and every idea, since they differ in who sees them."""
    once = set()
    for thing in town.things:
        if thing.type_name not in once or thing.type_name == "Idea":
            once.add(thing.type_name)
            yield thing.id, global_id(thing.type_name, uuid4())


async def test_c1_an_id_of_another_municipality_is_nobodys(towns: Towns) -> None:
    _, there = both(towns)
    ids, asked = names(towns.there), 0
    before = await contents_apart(towns.there.people.api.conn)
    for call, path, _ in id_places():
        if call.kind == "query":
            variables = call.variables(ids)
            for theirs, nobodys in pairs(towns.here):
                sent = [call.put(variables, path, id, ids) for id in (theirs, nobodys)]
                for actor in EVERYBODY:
                    found, expected = [bare(await there.post(call.document, each, actor=actor)) for each in sent]
                    assert found == expected, f"{call.place} {path} {theirs} as {actor}"
                    asked += 1
    assert asked > 2_000
    assert there.leaks == []
    assert await contents_apart(towns.there.people.api.conn) == before


async def test_what_somebody_may_not_see_is_nobodys(towns: Towns) -> None:
    here, _ = both(towns)
    ids = names(towns.here)
    for call, path, _ in id_places():
        if call.kind == "query":
            variables = call.variables(ids)
            for label in ("hidden idea", "response to the hidden idea", "notification"):
                thing = next(each for each in towns.here.things if each.label == label)
                sent = [call.put(variables, path, id, ids) for id in (thing.id, global_id(thing.type_name, uuid4()))]
                for actor in EVERYBODY:
                    if actor not in {"author", "moderator"}:
                        found, expected = [bare(await here.post(call.document, each, actor=actor)) for each in sent]
                        assert found == expected, f"{call.place} {path} {label} as {actor}"


async def test_malformed_ids_are_refused_alike_everywhere(towns: Towns) -> None:
    asker: Asker
    for asker in both(towns):
        ids = names(asker.town)
        for call, path, _ in id_places():
            if call.kind == "query":
                for text in MALFORMED:
                    variables = call.put(call.variables(ids), path, text, ids)
                    for actor in EVERYBODY:
                        answer = await asker.json(call.document, variables, actor=actor)
                        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
                        assert codes == {"BAD_USER_INPUT"} or (
                            call.name == "nodes" and answer["data"]["nodes"] == [None]
                        )
        assert asker.leaks == []


async def test_c3_a_token_of_another_municipality_opens_nothing_here(towns: Towns) -> None:
    _, there = both(towns)
    app = towns.here.people.api.app
    api, here, codes = towns.here.people.api, towns.here.slug, set()
    before = await contents_apart(api.conn)
    documents = [
        *(mutation(operation) for operation in sorted({named(row) for row in MUTATIONS})),
        *((f"{{ {name} }}", {}) for name in root_fields("query")),
        *((f"subscription {{ {name} }}", {}) for name in root_fields("subscription")),
        ("{ __schema { nonsense", {}),
        ("", {}),
    ]
    for actor in EVERYBODY[1:]:
        token = towns.there.people.tokens[actor]
        for document, variables in documents:
            answer = await there.post(document, variables, actor=actor, **{"heitto-municipality": here})
            assert answer.status_code == 403
            codes.add(answer.json()["errors"][0]["extensions"]["code"])
            said = await over_stream(app, document, variables, token=token, slug=here)
            codes.add(code(said))
        assert await over_socket(app, "{ __typename }", token=token, slug=here) == {"closed": FORBIDDEN}
        headers = {**there.headers(actor), "heitto-municipality": here}
        answer = await api.client.get("/graphql", params={"query": "{ viewer { unreadCount } }"}, headers=headers)
        codes.add(answer.json()["errors"][0]["extensions"]["code"])
    assert codes == {"WRONG_MUNICIPALITY"}
    assert await contents_apart(api.conn) == before


def mutation(name: str) -> tuple[str, Json]:
    type_ = f"{name[0].upper()}{name[1:]}Input"
    return f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ errors {{ code }} }} }}", {"input": {}}


def of_nobody(input: Json) -> Json:
    """The same with ids, codes and secrets that nobody has."""
    return {name: _other(name, value) for name, value in input.items()}


def _other(name: str, value: object) -> object:
    if name in {"secret", "refreshToken", "state", "code"}:
        return str(value)[::-1]
    if (not name.endswith("Id") or name == "providerId") and name != "upTo":
        return value
    text = str(value)
    return global_id(parse_id(text)[0], uuid4()) if "-" not in text else str(uuid4())


async def test_c1_what_is_good_in_one_municipality_is_nothing_in_the_other(towns: Towns) -> None:
    """Whole inputs, with the codes, secrets and tokens that go with their ids."""
    people, twins, tried = towns.here.people, towns.there.people, set()
    for name in root_fields("mutation"):
        for actor in ("anonymous", "resident", "contact", "official", "moderator", "administrator"):
            input = await people.input(name, actor)
            if of_nobody(input) == input:
                continue  # nothing to name
            tried.add(name)
            before = await contents_apart(people.api.conn)
            theirs = await twins.outcome(name, actor, input)
            nothings = await twins.outcome(name, actor, of_nobody(input))
            assert theirs == nothings != "done", f"{name} as {actor}: {theirs}, {nothings}"
            assert await contents_apart(people.api.conn) == before, f"{name} as {actor}"
    # in these an id may be left out
    assert tried >= {place.mutation for place in places()} - {"submitIdea", "inviteStaff"}
