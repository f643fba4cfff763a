"""Plans: what an operation asks for, worked out once for all its executions."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from graphql import (
    BooleanValueNode,
    DocumentNode,
    ExecutionResult,
    Executor,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    default_field_resolver,
    default_type_resolver,
    is_non_null_type,
    is_required_argument,
    visit,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_argument_values,
    get_variable_values,
)
from graphql.language import DirectiveNode
from graphql.pyutils import Undefined

from backend.planned.completion import Completer, Leaves, NonNull, completer
from backend.planned.hints import Attribute, Hint, Hints, Source
from backend.planned.inputs import CONSTANT, Coerce, Unusual, coercer, default_value, usual_variables
from backend.planned.run import Run

_CONDITIONS: Final = frozenset({"skip", "include"})
_NOT_PLANNED: Final = frozenset({"defer", "stream", "experimental_disableErrorPropagation"})
_NO_VARIABLES: Final = VariableValues({}, {})
_MOST_SHAPES: Final = 32  # by which conditions hold; further ones are planned anew each time


class ArgumentError(GraphQLError):
    """Arguments that a caller's variables make impossible, found out as the field is resolved."""


class NotPlanned(Exception):
    """This is for graphql-core to execute; the message says what of it isn't covered. Nothing was executed."""


@dataclass(slots=True)
class Planner:
    """Makes plans for one schema. `classes` names the Python classes whose objects are surely of an object type."""

    schema: GraphQLSchema
    hints: Hints = lambda parent_type, field_name: None
    classes: Mapping[str, frozenset[type]] = field(default_factory=dict)
    max_coercion_errors: int = 50
    hide_suggestions: bool = False
    executor_class: type[Executor[Any]] = Executor  # Any: graphql-core leaves it open
    _by_class: dict[str, dict[type, GraphQLObjectType]] = field(default_factory=dict)

    def plan(self, document: DocumentNode, operation_name: str | None = None) -> "Plan":
        """The plan of one operation of a document that is valid. Raises NotPlanned."""
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        named = [node for node in operations if operation_name in (None, node.name and node.name.value)]
        if len(named) != 1:
            raise NotPlanned("which operation")
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        if any(fragment.variable_definitions for fragment in fragments.values()):
            raise NotPlanned("fragment variables")
        if self.schema.get_root_type(named[0].operation) is None:
            raise NotPlanned("no such root type")
        conditions = _Conditions()
        with _not_too_deep():
            visit(document, conditions)
            return Plan(self, named[0], fragments, tuple(sorted(conditions.variables)))

    def classes_of(self, type_: GraphQLObjectType) -> frozenset[type]:
        return self.classes.get(type_.name, frozenset())

    def types_by_class(self, type_: GraphQLAbstractType) -> dict[type, GraphQLObjectType]:
        """Classes known to be of one of the possible types."""
        found = self._by_class.get(type_.name)
        if found is None:
            possible = self.schema.get_possible_types(type_)
            found = self._by_class[type_.name] = {each: one for one in possible for each in self.classes_of(one)}
        return found


@contextmanager
def _not_too_deep() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise NotPlanned("nested too deeply") from error


class _Conditions(Visitor):
    """The variables that decide what is included."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        if node.name.value in _NOT_PLANNED:
            raise NotPlanned(f"@{node.name.value}")
        if node.name.value in _CONDITIONS:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.variables.add(argument.value.name.value)
                elif not isinstance(argument.value, BooleanValueNode):
                    raise NotPlanned(f"@{node.name.value} without a condition")


@dataclass(slots=True)
class Plan:
    """One operation, ready to be executed. Its blocks are worked out when they are first met."""

    planner: Planner
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    conditions: tuple[str, ...]
    _details: dict[str, FragmentDetails] = field(init=False)
    _roots: dict[tuple[bool, ...], "Block"] = field(default_factory=dict)
    _signatures: dict[str, GraphQLVariableSignature] = field(init=False)
    _coercers: dict[str, tuple[Coerce, bool]] = field(init=False)
    prototype: Executor[Any] = field(init=False)  # Any: as above

    def __post_init__(self) -> None:
        self._details = {name: FragmentDetails(node) for name, node in self.fragments.items()}
        signatures = [
            get_variable_signature(self.planner.schema, node) for node in self.operation.variable_definitions or ()
        ]
        if any(isinstance(signature, GraphQLError) for signature in signatures):
            raise NotPlanned("a variable that is no input")
        self._signatures = {each.name: each for each in signatures if isinstance(each, GraphQLVariableSignature)}
        self._coercers = {
            name: (coercer(each.type), each.default is not None or is_non_null_type(each.type))
            for name, each in self._signatures.items()
        }
        self.prototype = self.planner.executor_class(
            self.planner.schema,
            dict(self.fragments),
            self._details,
            None,
            None,
            self.operation,
            _NO_VARIABLES,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            hide_suggestions=self.planner.hide_suggestions,
        )
        if not self.conditions:
            self._roots[()] = self._root(_NO_VARIABLES)

    def execute(
        self,
        root_value: object = None,
        context_value: object = None,
        variable_values: Mapping[str, object] | None = None,
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """The operation's result; of a subscription, the result of one event, which is the root value.

        Raises NotPlanned where a condition isn't a Boolean, before anything is executed.
        """
        variables = self.coerce(variable_values or {})
        if isinstance(variables, list):
            return ExecutionResult(None, variables)
        return self.execute_coerced(variables, root_value, context_value)

    def coerce(self, variable_values: Mapping[str, object]) -> VariableValues | list[GraphQLError]:
        """What the operation's variables make of a caller's values, or what is wrong with them."""
        if not self._signatures:
            return _NO_VARIABLES
        try:
            coerced = usual_variables(self._coercers, variable_values)
        except (Unusual, RecursionError):
            return self._coerce_unusual(variable_values)
        sources = {
            name: VariableValueSource(signature, variable_values.get(name, Undefined))
            for name, signature in self._signatures.items()
        }
        return VariableValues(sources, coerced)

    def _coerce_unusual(self, variable_values: Mapping[str, object]) -> VariableValues | list[GraphQLError]:
        return get_variable_values(
            self.planner.schema,
            self.operation.variable_definitions or (),
            dict(variable_values),
            max_errors=self.planner.max_coercion_errors,
            hide_suggestions=self.planner.hide_suggestions,
        )

    def execute_coerced(
        self, variables: VariableValues, root_value: object = None, context_value: object = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """`execute` with variables from `coerce`."""
        run = Run(self, variables, root_value, context_value)
        return run.execute(self.root(variables), serially=self.operation.operation is OperationType.MUTATION)

    def root(self, variables: VariableValues) -> "Block":
        """The block of the root fields. Raises NotPlanned."""
        held = tuple(variables.coerced.get(name) for name in self.conditions)
        found = self._roots.get(held)  # type: ignore[arg-type] # what isn't of Booleans isn't found
        if found is None:
            if not all(isinstance(each, bool) for each in held):
                raise NotPlanned("a condition that is not a Boolean")
            found = self._root(variables)
            if len(self._roots) < _MOST_SHAPES:
                self._roots[tuple(map(bool, held))] = found
        return found

    def _root(self, variables: VariableValues) -> "Block":
        root_type = self.planner.schema.get_root_type(self.operation.operation)
        assert root_type is not None  # noqa: S101 # whoever made the plan has looked
        with _not_too_deep():
            collected = collect_fields(self.planner.schema, self._details, variables, root_type, self.operation)
        return Block(self, root_type, collected.grouped_field_set, variables)

    def below(self, type_: GraphQLObjectType, details: list[FieldDetails], variables: VariableValues) -> "Block":
        """The block of an object type below a field."""
        collected = collect_subfields(self.planner.schema, self._details, variables, self.operation, type_, details)
        return Block(self, type_, collected.grouped_field_set, variables)


class Block:
    """The fields asked of objects of one type at one place of an operation, in the answer's order."""

    def __init__(
        self, plan: Plan, type_: GraphQLObjectType, grouped: GroupedFieldSet, variables: VariableValues
    ) -> None:
        self.fields: list[Field] = []
        self.template: dict[str, object] = {}
        for key, details in grouped.items():
            name = details[0].node.name.value
            definition = plan.planner.schema.get_field(type_, name)
            if definition is None:
                continue
            if name == "__typename":
                self.template[key] = type_.name
            else:
                self.template[key] = None
                self.fields.append(Field(plan, type_, key, details, definition, variables))


class Field:
    """A field of a block."""

    def __init__(
        self,
        plan: Plan,
        parent_type: GraphQLObjectType,
        key: str,
        details: list[FieldDetails],
        definition: GraphQLField,
        variables: VariableValues,
    ) -> None:
        self.key = key
        self.node: FieldNode = details[0].node
        self.nodes: Sequence[FieldNode] = [each.node for each in details]
        self.name = self.node.name.value
        self.definition = definition
        self.parent_type = parent_type
        self.hint: Hint | None = plan.planner.hints(parent_type, self.name)
        self.completer: Completer = completer(definition.type)
        self.nullable = self.completer.nullable
        self.quick = _quick(self.hint, self.completer)
        self._plan = plan
        self.details = details
        self._conditions = variables
        self._blocks: dict[GraphQLObjectType, Block] = {}
        self._constant = self._constant_arguments()
        self._defaults: dict[str, Any] = {}  # Any: as below
        self._variables = None if self._constant is not None else self._only_variables()

    @cached_property
    def place(self) -> str:
        """`Type.field`"""
        return f"{self.parent_type}.{self.name}"

    def block(self, type_: GraphQLObjectType) -> Block:
        """What is asked of a value of this type."""
        found = self._blocks.get(type_)
        if found is None:
            found = self._blocks[type_] = self._plan.below(type_, self.details, self._conditions)
        return found

    def arguments(self, variables: VariableValues) -> dict[str, Any]:  # Any: what graphql-core makes of them
        """Raises ArgumentError for values that don't fit."""
        if self._constant is not None:
            return self._constant
        if self._variables is not None:
            values = dict(self._defaults)
            coerced = variables.coerced
            for name, out_name, sure in self._variables:
                value = coerced.get(name, Undefined)
                if value is Undefined or (sure and value is None):
                    break
                values[out_name] = value
            else:
                return values
        try:
            return get_argument_values(self.definition, self.node, variables, None, self._plan.planner.hide_suggestions)
        except GraphQLError as error:
            raise ArgumentError(error.message, error.nodes, extensions=error.extensions) from error

    def _constant_arguments(self) -> dict[str, Any] | None:  # Any: as above
        """The arguments where they are the same each time, and nothing that a resolver could change."""
        if not self.definition.args and not self.node.arguments:
            return {}
        if any(not _is_literal(argument.value) for argument in self.node.arguments or ()):
            return None
        try:
            values = get_argument_values(self.definition, self.node, _NO_VARIABLES)
        except (GraphQLError, TypeError):  # told when the field is resolved
            return None
        return values if all(isinstance(value, CONSTANT) for value in values.values()) else None

    def _only_variables(self) -> list[tuple[str, str, bool]] | None:
        """Variable, argument and whether it must not be null, where every argument given is a variable. The defaults
        of the others are kept, if nobody can change them."""
        nodes = {argument.name.value: argument.value for argument in self.node.arguments or ()}
        found = []
        for name, definition in self.definition.args.items():
            out_name = definition.out_name or name
            node = nodes.get(name)
            if isinstance(node, VariableNode):
                found.append((node.name.value, out_name, is_non_null_type(definition.type)))
            elif node is not None or is_required_argument(definition):
                return None
            elif (default := default_value(definition)) is not Undefined:
                if not isinstance(default, CONSTANT):
                    return None
                self._defaults[out_name] = default
        return found


def _quick(hint: Hint | None, completer: Completer) -> tuple[Callable[[Source], object], Leaves] | None:
    """How an attribute that is a leaf is read, and what tells whether there is anything to do to it."""
    leaves = completer.inner if isinstance(completer, NonNull) else completer
    return (hint.get, leaves) if isinstance(hint, Attribute) and isinstance(leaves, Leaves) else None


def _is_literal(node: object) -> bool:
    return (
        not isinstance(node, VariableNode) and not getattr(node, "values", None) and not getattr(node, "fields", None)
    )
