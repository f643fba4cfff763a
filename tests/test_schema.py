"""The schema: described to the last value, as committed, and never taking back what clients rely on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLNamedType,
    build_schema,
    find_breaking_changes,
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    is_scalar_type,
    is_specified_scalar_type,
)

from backend.api import schema
from backend.db.statements import SQL_FOLDER
from backend.messages import LOCALES, MESSAGES
from backend.schema.enums import UserErrorCode
from tests.schema_walk import SCHEMA, object_types, root_fields

ROOT = SQL_FOLDER.parent
CORE = Path(__file__).parent / "data" / "core.graphql"  # the contract's, to the letter
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
PASCAL = re.compile(r"[A-Z][a-zA-Z0-9]*")
UPPER = re.compile(r"[A-Z][A-Z0-9_]*")


def own_types() -> list[GraphQLNamedType]:
    return [
        type_
        for type_ in SCHEMA.type_map.values()
        if not is_introspection_type(type_) and not (is_scalar_type(type_) and is_specified_scalar_type(type_))
    ]


def elements() -> Iterator[tuple[str, str | None, re.Pattern[str]]]:
    """Everything that has a name: where it is, its description, and how it must be spelled."""
    for type_ in own_types():
        yield type_.name, type_.description, PASCAL
        if is_object_type(type_) or is_interface_type(type_):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field.description, CAMEL
                for argument_name, argument in field.args.items():
                    yield f"{type_.name}.{name}.{argument_name}", argument.description, CAMEL
        elif is_input_object_type(type_):
            for name, input_field in type_.fields.items():
                yield f"{type_.name}.{name}", input_field.description, CAMEL
        elif is_enum_type(type_):
            for name, value in type_.values.items():
                yield f"{type_.name}.{name}", value.description, UPPER


def test_everything_is_described() -> None:
    assert len(list(elements())) > 400
    assert [place for place, description, _ in elements() if not (description or "").strip()] == []


def test_no_description_only_repeats_the_name() -> None:
    def bare(text: str) -> str:
        return re.sub(r"[^a-z]|^(the|an|a) ", "", text.lower())

    repeated = [place for place, description, _ in elements() if bare(description or "") == bare(place.split(".")[-1])]
    assert repeated == []


def test_names_are_spelled_as_graphql_spells_them() -> None:
    wrong = [place for place, _, spelling in elements() if not spelling.fullmatch(place.split(".")[-1])]
    assert wrong == []


def test_mutations_take_one_input_and_answer_a_payload_with_errors() -> None:
    for name, field in root_fields("mutation").items():
        input_type = f"{name[0].upper()}{name[1:]}Input!"
        assert {argument: str(each.type) for argument, each in field.args.items()} == {"input": input_type}
        payload = get_named_type(field.type)
        assert is_object_type(payload) and payload.name.endswith("Payload")
        types = {each: str(of.type) for each, of in payload.fields.items()}
        assert types.pop("errors") == "[UserError!]!"
        assert [each for each, type_ in types.items() if type_.endswith("!")] == [], "null where refused"


def test_root_fields_can_fail_alone() -> None:
    for kind in ("query", "mutation", "subscription"):
        never_null = {name for name, field in root_fields(kind).items() if str(field.type).endswith("!")}
        assert never_null == ({"nodes"} if kind == "query" else set())


def test_connections_follow_relay() -> None:
    connections = [type_ for type_ in object_types() if type_.name.endswith("Connection")]
    assert len(connections) >= 7
    for connection in connections:
        name = connection.name.removesuffix("Connection")
        types = {each: str(field.type) for each, field in connection.fields.items()}
        edge = SCHEMA.get_type(f"{name}Edge")
        assert is_object_type(edge)
        row = str(edge.fields["node"].type)
        assert types == {"edges": f"[{name}Edge!]!", "nodes": f"[{row}]!", "pageInfo": "PageInfo!"}
        assert str(edge.fields["cursor"].type) == "String!"


def test_lists_are_connections_or_bounded() -> None:
    for type_ in object_types():
        for name, field in type_.fields.items():
            if get_named_type(field.type).name.endswith("Connection"):
                assert {"first", "after"} <= field.args.keys(), f"{type_.name}.{name}"


def test_the_committed_schema_is_this_one() -> None:
    committed = (ROOT / "schema.graphql").read_text("utf-8")
    assert committed.strip() == schema.as_str().strip(), "schema.graphql is stale: run `make schema`"


@pytest.mark.parametrize("promised", [CORE, ROOT / "schema.graphql"], ids=["core", "committed"])
def test_nothing_promised_is_broken(promised: Path) -> None:
    changes = find_breaking_changes(build_schema(promised.read_text("utf-8")), SCHEMA)
    assert [change.description for change in changes] == []


def refusals() -> Iterator[tuple[str, str, str]]:
    """(place, code, reason) of every `Refusal(...)` in the code that says them as constants."""
    for path in sorted((ROOT / "backend").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                said = {keyword.arg: keyword.value for keyword in node.keywords}
                code, reason = node.args[0], said.get("reason", node.args[0])
                if isinstance(code, ast.Constant) and isinstance(reason, ast.Constant):
                    yield f"{path.name}:{node.lineno}", str(code.value), str(reason.value)


def test_every_refusal_has_its_code_and_its_words_in_every_language() -> None:
    found = list(refusals())
    assert len(found) > 40
    assert [each for each in found if each[1] not in UserErrorCode.__members__] == []
    assert [each for each in found if each[2] not in MESSAGES] == []
    assert [reason for reason, texts in MESSAGES.items() if set(texts) != set(LOCALES)] == []
    assert [code for code in UserErrorCode if code not in MESSAGES] == []
