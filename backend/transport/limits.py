"""How much one document may ask for.

Every definition is expanded as execution would expand it, fragments anew at each spread, and stops at the
first limit passed. The number of selections visited is itself a limit, so an exponential document costs no more than
the largest allowed one: no memory of fragments is needed, and each path is judged as it really runs. It runs before
graphql-core's validation, whose rule for overlapping fields is quadratic.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_interface_type,
    is_list_type,
    is_object_type,
)

from backend.errors import QueryTooComplex

SIZE_ARGUMENTS = frozenset({"first", "last", "ids"})
INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Pairs are (anonymous, signed in). Cost: an object 1, a scalar 0, each times the lists around it."""

    document_bytes: int = 32 * 1024
    tokens: int = 2_000
    operations: int = 10
    fragments: int = 50
    variables: int = 50
    directives: int = 20
    number_digits: int = 20
    root_fields: int = 10
    root_mutations: int = 4
    list_items: int = 100  # of a list that is written out
    aliases: int = 15
    recursion: int = 3  # of one field name on a path
    selections: int = 1_000  # of a document, after expansion; no screen comes near
    overlaps: int = 3_000  # likewise: pairs of equal response names that validation compares, about 5 microseconds each
    nesting: int = 60  # of fields and fragments together: Python's stack
    introspection_depth: int = 20  # the standard query has 15
    introspection_cost: int = 1_000
    page: int = 20
    page_max: int = 100
    list_size: int = 10  # of plain lists that `list_sizes` doesn't name
    depth: tuple[int, int] = (10, 12)
    cost: tuple[int, int] = (2_000, 5_000)


Factor = tuple[str, int]
"""A variable that sets the length of a list, and the length without it."""

Size = tuple[tuple[Factor, ...], int]
"""So many objects: the product of the factors and a constant."""


@dataclass(slots=True)
class Measure:
    """One operation, measured. `terms` is its cost as a polynomial in the variables that set page sizes."""

    root_fields: list[str] = field(default_factory=list)
    depth: int = 0
    aliases: int = 0
    viewer_dependent: bool = False
    terms: dict[tuple[Factor, ...], int] = field(default_factory=dict)

    def cost(self, variables: Mapping[str, object], limits: Limits) -> int:
        total = 0  # by loops: most operations have few terms without a factor, and this runs for every request
        for factors, constant in self.terms.items():
            objects = constant
            for name, default in factors:
                objects *= _size(variables.get(name), default, limits)
            total += objects
        return total


def check_affordable(measure: Measure, variables: Mapping[str, object], limits: Limits, *, signed_in: bool) -> int:
    """The cost. Raises QueryTooComplex where depth or cost is over the caller's limit."""
    _at_most(limits.depth[signed_in], measure.depth, "levels deep")
    cost = measure.cost(variables, limits)
    _at_most(limits.cost[signed_in], cost, "in cost")
    return cost


@dataclass(slots=True)
class _Spent:
    """By the whole document: ten operations and fifty fragments together are no more work than one may be."""

    selections: int = 0
    overlaps: int = 0


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measures documents of one schema. `list_sizes` bounds plain lists by "Type.field", `alone` names root fields of
    which a document may have one: guesses are not to come by the dozen."""

    schema: GraphQLSchema
    limits: Limits
    list_sizes: Mapping[str, int]
    viewer_dependent: Callable[[str, str], bool]
    alone: frozenset[str] = frozenset()

    def measure(self, document: DocumentNode) -> list[tuple[OperationDefinitionNode, Measure]]:
        """Each operation with its measure. Raises QueryTooComplex."""
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
        _at_most(self.limits.operations, len(operations), "operations")
        _at_most(self.limits.fragments, len(fragments), "fragments")
        by_name = {fragment.name.value: fragment for fragment in fragments}
        reached: set[int] = set()
        spent = _Spent()
        measured = [(node, self._operation(node, by_name, reached, spent)) for node in operations]
        for fragment in fragments:  # validation reads the unused and the doubly named as well
            if id(fragment) not in reached:
                walk = _Walk(self, by_name, reached, spent, {}, OperationType.QUERY)
                walk.fragment(fragment, _Place(None, (fragment.name.value,), ((), 1), None, {}))
        return measured

    def _operation(
        self,
        node: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        reached: set[int],
        spent: _Spent,
    ) -> Measure:
        definitions = node.variable_definitions or ()
        _at_most(self.limits.variables, len(definitions), "variables")
        defaults = {
            definition.variable.name.value: definition.default_value
            for definition in definitions
            if definition.default_value
        }
        for value in defaults.values():
            _check_lists(value, self.limits)
        walk = _Walk(self, fragments, reached, spent, defaults, node.operation)
        walk.selections(node.selection_set, _Place(self.schema.get_root_type(node.operation), (), ((), 1), None, {}))
        return walk.found


@dataclass(slots=True)
class _Seen:
    """One response name at one place of the answer."""

    times: int = 0
    below: "dict[str, _Seen]" = field(default_factory=dict)


class _Place(NamedTuple):
    """Where in the answer a selection set stands. `rows`: how many objects there; `page`: length of the connection."""

    parent: GraphQLNamedType | None
    path: tuple[str, ...]
    rows: Size
    page: Size | None
    seen: dict[str, _Seen]


@dataclass(slots=True)
class _Walk:
    ruler: Ruler
    fragments: Mapping[str, FragmentDefinitionNode]
    reached: set[int]
    spent: _Spent
    defaults: Mapping[str, ValueNode]
    kind: OperationType
    found: Measure = field(default_factory=Measure)
    nesting: int = 0
    spreading: list[str] = field(default_factory=list)

    def selections(self, selection_set: SelectionSetNode, place: _Place) -> None:
        limits = self.ruler.limits
        self.nesting += 1
        _at_most(limits.nesting, self.nesting, "levels of fields and fragments")
        for selection in selection_set.selections:
            self.spent.selections += 1
            _at_most(limits.selections, self.spent.selections, "selections")
            if isinstance(selection, FieldNode):
                self.field(selection, place)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self.ruler.schema.get_type(condition.name.value) if condition else place.parent
                self.selections(selection.selection_set, place._replace(parent=inner))
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in self.fragments and name not in self.spreading:  # a cycle is validation's to name
                    self.fragment(self.fragments[name], place)
        self.nesting -= 1

    def fragment(self, fragment: FragmentDefinitionNode, place: _Place) -> None:
        self.reached.add(id(fragment))
        self.spreading.append(fragment.name.value)
        condition = self.ruler.schema.get_type(fragment.type_condition.name.value)
        self.selections(fragment.selection_set, place._replace(parent=condition))
        self.spreading.pop()

    def field(self, node: FieldNode, place: _Place) -> None:
        parent, name = place.parent, node.name.value
        seen = place.seen.setdefault((node.alias or node.name).value, _Seen())
        path = (*place.path, name)
        self.count(node, path, seen)
        if parent is not None and self.ruler.viewer_dependent(parent.name, name):
            self.found.viewer_dependent = True
        definition = _definition(parent, name)
        returned = get_named_type(definition.type) if definition else None
        rows, page = place.rows, None
        if name in INTROSPECTION:
            self.add(((), self.ruler.limits.introspection_cost))
        elif definition and returned and is_composite_type(returned) and path[0] not in INTROSPECTION:
            size = self.size(node, definition, place)
            if is_list_type(get_nullable_type(definition.type)):
                rows = (rows[0] + size[0], rows[1] * size[1])
            elif returned.name.endswith("Connection"):
                page = size
            if not returned.name.endswith("Edge"):  # `edges { node }` costs what `nodes` does
                self.add(rows)
        if node.selection_set:
            self.selections(node.selection_set, _Place(returned, path, rows, page, seen.below))

    def count(self, node: FieldNode, path: tuple[str, ...], seen: _Seen) -> None:
        found, limits = self.found, self.ruler.limits
        self.spent.overlaps += seen.times
        seen.times += 1
        _at_most(limits.overlaps, self.spent.overlaps, "repetitions of selections")
        for argument in node.arguments or ():
            _check_lists(argument.value, limits)
        if node.alias:
            found.aliases += 1
            _at_most(limits.aliases, found.aliases, "aliases")
        if len(path) == 1:
            found.root_fields.append(path[0])
            mutating = self.kind is OperationType.MUTATION
            _at_most(limits.root_mutations if mutating else limits.root_fields, len(found.root_fields), "root fields")
            if path[0] in self.ruler.alone:
                _at_most(1, sum(each in self.ruler.alone for each in found.root_fields), "ways to sign in")
            if path[0] == "__schema":  # whose answer is 100 kB
                _at_most(1, found.root_fields.count(path[0]), f"times `{path[0]}`")
        if path[0] in INTROSPECTION:
            _at_most(limits.introspection_depth, len(path), "levels deep")
        else:
            found.depth = max(found.depth, len(path))
            _at_most(limits.depth[True], found.depth, "levels deep")
            _at_most(limits.recursion, path.count(path[-1]), f"times `{path[-1][:40]}` on one path")

    def add(self, rows: Size) -> None:
        factors, constant = rows
        self.found.terms[factors] = self.found.terms.get(factors, 0) + constant

    def size(self, node: FieldNode, definition: GraphQLField, place: _Place) -> Size:
        """How long the list of this field gets."""
        limits = self.ruler.limits
        given = [argument.value for argument in node.arguments or () if argument.name.value in SIZE_ARGUMENTS]
        if len(given) > 1:  # resolvers refuse `first` with `last`; a null in one of them isn't known before
            return (), limits.page_max
        value = given[0] if given else None
        if isinstance(value, VariableNode):
            name = value.name.value
            return ((name, _literal(self.defaults.get(name), limits)),), 1
        if value or SIZE_ARGUMENTS & definition.args.keys():
            return (), _literal(value, limits)
        owner = place.parent.name if place.parent else ""
        return place.page or ((), self.ruler.list_sizes.get(f"{owner}.{node.name.value}", limits.list_size))


def _definition(parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    return parent.fields.get(name) if is_object_type(parent) or is_interface_type(parent) else None


def _literal(value: ValueNode | None, limits: Limits) -> int:
    if isinstance(value, IntValueNode):
        return _size(int(value.value), limits.page, limits)
    if isinstance(value, ListValueNode):
        return min(len(value.values), limits.page_max)
    return limits.page


def _size(value: object, default: int, limits: Limits) -> int:
    if isinstance(value, (int, float)):  # 20.0 is an Int as well
        return min(max(int(value), 0), limits.page_max)
    return min(len(value), limits.page_max) if isinstance(value, list) else default


def _check_lists(value: ValueNode, limits: Limits) -> None:
    if isinstance(value, ListValueNode):
        _at_most(limits.list_items, len(value.values), "items in a list")
        for item in value.values:
            _check_lists(item, limits)
    elif isinstance(value, ObjectValueNode):
        for each in value.fields:
            _check_lists(each.value, limits)


def _at_most(limit: int, found: int, what: str) -> None:
    if found > limit:
        raise QueryTooComplex(f"The document is too large: {found} {what}, at most {limit} are allowed.")
