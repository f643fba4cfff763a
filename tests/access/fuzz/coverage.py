"""Which fields of which types an answer gave data for."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    Visitor,
    is_abstract_type,
    is_object_type,
    visit,
)

from tests.schema_walk import SCHEMA, object_types

Json: TypeAlias = Any  # Any: what an answer holds
Field: TypeAlias = tuple[str, str]

OWN = "__type"  # a response key that no client of ours writes
FIELDS: frozenset[Field] = frozenset((type_.name, name) for type_ in object_types() for name in type_.fields)


class _Asking(Visitor):
    """Adds the type's name to every selection but a subscription's first, which may hold one field alone."""

    def enter_selection_set(
        self, node: SelectionSetNode, key: object, parent: object, *_: object
    ) -> SelectionSetNode | None:
        del key
        if isinstance(parent, OperationDefinitionNode) and parent.operation is OperationType.SUBSCRIPTION:
            return None
        own = FieldNode(alias=NameNode(value=OWN), name=NameNode(value="__typename"))
        return SelectionSetNode(selections=(*node.selections, own))


def asking_types(document: DocumentNode) -> DocumentNode:
    found: DocumentNode = visit(document, _Asking())
    return found


def covered(document: DocumentNode, data: Json) -> Iterator[Field]:
    """Of a document that is `asking_types`, with one operation first."""
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    root = SCHEMA.get_root_type(operation.operation)
    assert root
    yield from _object(root.name, [operation.selection_set], data, fragments)


def _object(
    name: str, sets: list[SelectionSetNode], value: Json, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[Field]:
    fields: dict[str, list[FieldNode]] = {}
    for each in sets:
        for node in each.selections:
            _collect(name, node, fields, fragments)
    for key, nodes in fields.items():
        found = value.get(key)
        if found is None or found == [] or nodes[0].name.value.startswith("__"):
            continue
        yield name, nodes[0].name.value
        below = [node.selection_set for node in nodes if node.selection_set]
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict) and OWN in each:
                yield from _object(each[OWN], below, each, fragments)


def _collect(
    name: str,
    node: SelectionNode,
    fields: dict[str, list[FieldNode]],
    fragments: Mapping[str, FragmentDefinitionNode],
) -> None:
    if isinstance(node, FieldNode):
        fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return
    part = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
    condition = part.type_condition  # type: ignore[union-attr] # what isn't a spread is an inline fragment
    if condition is None or _fits(name, condition.name.value):
        for each in part.selection_set.selections:  # type: ignore[union-attr] # likewise
            _collect(name, each, fields, fragments)


def _fits(name: str, condition: str) -> bool:
    wanted, own = SCHEMA.type_map[condition], SCHEMA.type_map[name]
    if is_abstract_type(wanted) and is_object_type(own):
        abstract: GraphQLAbstractType = wanted
        return SCHEMA.is_sub_type(abstract, own)
    return name == condition
