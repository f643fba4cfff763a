"""Where operations come from: schemathesis, our own generator, and the walk over everything that the schema has."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias
from uuid import uuid4

import schemathesis.graphql
from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLInputType,
    ListValueNode,
    ObjectFieldNode,
    OperationType,
    StringValueNode,
    ValueNode,
    Visitor,
    get_named_type,
    is_input_object_type,
    parse,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from backend.api import schema
from backend.ids import global_id, parse_id
from tests.access.fuzz.values import LONG, Values
from tests.access.paths import by_id, from_the_root, inner
from tests.access.towns import Town
from tests.calls import calls
from tests.planned.operations import write_operation
from tests.schema_walk import SCHEMA, root_fields, selection

Json: TypeAlias = Any  # Any: what JSON holds

MARK = "@one of:"  # and then: which of the values that fit
ACTORS = (
    "anonymous",
    "author",
    "contact",
    "strong",
    "official",
    "coordinator",
    "moderator",
    "administrator",
)
ERASING, ERASED = "eraseAccount", "applicant"  # the one who asks for it, when all else of the walk is done
WALKERS = (*ACTORS, ERASED)
KINDS = (OperationType.QUERY, OperationType.MUTATION, OperationType.MUTATION, OperationType.SUBSCRIPTION)


@dataclass(frozen=True)
class Asked:
    source: str
    text: str
    actor: int  # which of the WALKERS
    variables: dict[str, Json] = field(default_factory=dict)
    name: str | None = None


class _Filling(Visitor):
    """Puts in what a mark stands for, by the argument or the input's field that it stands at."""

    def __init__(self, values: Values) -> None:
        super().__init__()
        self._values = values

    def enter_argument(self, node: ArgumentNode, *_: object) -> ArgumentNode:
        return ArgumentNode(name=node.name, value=self._filled(node.name.value, node.value))

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> ObjectFieldNode:
        return ObjectFieldNode(name=node.name, value=self._filled(node.name.value, node.value))

    def _filled(self, name: str, node: ValueNode) -> ValueNode:
        if isinstance(node, ListValueNode):
            return ListValueNode(values=tuple(self._filled(name, each) for each in node.values))
        if isinstance(node, StringValueNode) and node.value.startswith(MARK):
            scalar, _, number = node.value.removeprefix(MARK).partition(":")
            choice = self._values(scalar, name)
            text = choice[int(number) % len(choice)]
            return StringValueNode(value=text, block=False)
        return node


def _marked(scalar: str) -> st.SearchStrategy[ValueNode]:
    return st.integers(0, 10_000).map(lambda n: nodes.String(f"{MARK}{scalar}:{n}"))


def _by_schemathesis() -> st.SearchStrategy[Json]:
    schemathesis.graphql.scalar("ID", _marked("ID"))
    schemathesis.graphql.scalar("String", st.one_of(_marked("String"), _marked("String"), st.text().map(nodes.String)))
    for scalar in ("DateTime", "Locale"):
        schemathesis.graphql.scalar(scalar, _marked(scalar))
    return schemathesis.graphql.from_file(schema.as_str()).as_strategy()


class Sources:
    def __init__(self, values: Values) -> None:
        self._values = values
        self._schemathesis = _by_schemathesis()

    def schemathesis(self, number: int, round: int) -> list[Asked]:
        found: list[Asked] = []

        @seed(round)
        @settings(max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(self._schemathesis, st.integers(0, len(ACTORS) - 1))
        def draw(case: Json, actor: int) -> None:
            document: DocumentNode = visit(parse(case.body), _Filling(self._values))
            found.append(Asked("schemathesis", print_ast(document), actor))

        draw()
        return found

    def own(self, number: int, round: int) -> list[Asked]:
        """By lot rather than by hypothesis, which tries many that are nearly the same: here each is another."""
        lot = Random(round)
        made = [write_operation(SCHEMA, lot.choice(KINDS), lot.randrange, examples=self._values) for _ in range(number)]
        return [Asked("own", each.text, lot.randrange(len(ACTORS)), each.variables, each.name) for each in made]

    async def walk(self, town: Town) -> AsyncIterator[Asked]:
        """Every query with everything below it, every subscription, and every mutation refused and done."""
        await town.people.idea()  # with a title that is looked for
        always = [ACTORS.index(actor) for actor in ("author", "contact", "administrator")]
        texts = [*from_the_root(town.id("theme")), *by_id(self._values.ids)]
        texts += [f'{{ node(id: "{thing.id}") {{ id }} }}' for thing in town.things]
        for n, text in enumerate(texts):
            for who in {*always, n % len(WALKERS)}:
                yield Asked("walk", text, who)
        for name, each in root_fields("subscription").items():
            needed = f'(id: "{town.id("voted idea")}")' if "id" in each.args else ""
            below = selection(get_named_type(each.type), 1, inner)
            yield Asked("walk", f"subscription {{ {name}{needed} {below} }}", ACTORS.index("author"))
        for call in sorted(calls(), key=lambda call: call.name == ERASING):
            if call.kind == "mutation":
                [argument] = call.field.args.values()
                payload = selection(get_named_type(call.field.type), 2, inner, lists=False)
                payload = payload.replace("{", "{ errors { code message field }", 1)
                text = f"mutation ($i: {argument.type}) {{ {call.name}(input: $i) {payload} }}"
                for n, actor in enumerate(WALKERS):
                    input = await town.people.input(call.name, actor)
                    yield Asked("walk", text, n, {"i": _refused(argument.type, input)})
                    if call.name != ERASING or actor == ERASED:
                        yield Asked("walk", text, n, {"i": input})


def _refused(type_: GraphQLInputType, input: Json) -> Json:
    """The same about what isn't there, and too long."""
    named = get_named_type(type_)
    assert is_input_object_type(named)
    changed = dict(input)
    for name, field_ in named.fields.items():
        scalar = get_named_type(field_.type).name
        if scalar == "ID" and name in input:
            changed[name] = global_id(parse_id(input[name])[0], uuid4())
        elif scalar == "String" and name != "idempotencyKey":
            changed[name] = LONG
    return changed
