"""Documents, parsed, validated, measured and planned once, and the execution of their plans on a strawberry schema.

Strawberry's own `Schema.execute` runs its extensions around every operation (0.6 ms); none are used here. What it adds
besides is kept: its two validation rules, its resolvers and converters, which live in the schema. What has no plan is
executed by graphql-core, with strawberry's executor.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from inspect import isawaitable
from itertools import chain
from math import isinf
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    TokenKind,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
    map_source_to_response_event,
    parse,
    specified_rules,
    validate,
)
from graphql.pyutils import AwaitableOrValue
from graphql.validation import MaxIntrospectionDepthRule
from strawberry import Schema
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from backend.errors import BadUserInput, QueryTooComplex, RequestError
from backend.fields import classes, hints
from backend.planned import ArgumentError, NotPlanned, Plan, Planner
from backend.transport.answers import MAX_ERRORS, InvalidDocument, causes
from backend.transport.limits import INTROSPECTION, Limits, Measure, Ruler
from backend.transport.payload import check_text

RULES = (*specified_rules, MaxIntrospectionDepthRule, MaybeNullValidationRule, OneOfInputValidationRule)
HIDDEN = "The document doesn't fit the schema."
T = TypeVar("T")
HIDDEN_VARIABLES = "The variables don't fit the document."

Authorize = Callable[[str, Sequence[str], object], None]
"""Called with kind, root field names and context before anything is executed. Raises RequestError."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a prepared document. `public`: its answer is the same for every anonymous caller of a scope."""

    document: DocumentNode
    name: str | None
    kind: str
    measure: Measure
    variables: tuple[str, ...]
    public: bool
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Prepared:
    operations: Mapping[str | None, Operation]

    def operation(self, name: str | None) -> Operation:
        """Raises BadUserInput."""
        if name is None:
            if len(self.operations) == 1:
                return next(iter(self.operations.values()))
            raise BadUserInput("The document has several operations: name one in `operationName`.")
        if name not in self.operations:
            raise BadUserInput(f"The document has no operation `{name[:100]}`.")
        return self.operations[name]


@dataclass(slots=True)
class Operations:
    """`public_fields`: root fields of Query that are the same for everyone, as long as nothing that is
    `viewer_dependent(type, field)` is selected. `list_sizes`: bounds of plain lists, by "Type.field". `alone`:
    root fields of which a document may have one. `unplanned` is told why graphql-core is to execute an operation
    instead of its plan.
    """

    schema: Schema
    authorize: Authorize = lambda kind, root_fields, context: None
    public_fields: frozenset[str] = frozenset()
    viewer_dependent: Callable[[str, str], bool] = lambda type_name, field_name: False
    list_sizes: Mapping[str, int] = field(default_factory=dict)
    alone: frozenset[str] = frozenset()
    introspection: bool = True
    limits: Limits = field(default_factory=Limits)
    unplanned: Callable[[str], None] = lambda reason: None
    _core: GraphQLSchema = field(init=False)
    _ruler: Ruler = field(init=False)
    _known: "_Known" = field(init=False)
    _planner: Planner = field(init=False)

    def __post_init__(self) -> None:
        self._core = self.schema._schema  # strawberry gives no public way to the schema that graphql-core runs
        self._ruler = Ruler(self._core, self.limits, self.list_sizes, self.viewer_dependent, self.alone)
        self._known = _Known()
        self._planner = Planner(
            self._core,
            hints(self.schema),
            classes(self.schema),
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=not self.introspection,
            executor_class=self.schema.execution_context_class,
        )

    def remembers(self, text: str) -> bool:
        """Whether `prepare` has nothing left to do."""
        return text in self._known

    def prepare(self, text: str) -> Prepared:
        """Parsed, measured and validated, at most once while it is remembered; so are failures. Raises RequestError."""
        found = self._known.get(text)
        if found is None:
            try:
                found = self._prepare(text)
            except RequestError as error:
                found = _alone(error)
            self._known.put(text, found)
        if isinstance(found, RequestError):
            raise copy(found)  # the one that is kept is never raised: it would keep whatever the request holds
        return found

    def _prepare(self, text: str) -> Prepared:
        if len(text.encode(errors="surrogatepass")) > self.limits.document_bytes:
            raise QueryTooComplex(f"A document may have {self.limits.document_bytes // 1024} kB.")
        document = self._parse(text)
        self._check_tokens(document)
        measured = self._ruler.measure(document)
        self._validate(document)
        return Prepared(dict(self._operation(document, *each) for each in measured))

    def _parse(self, text: str) -> DocumentNode:
        try:
            return parse(text, max_lexical_tokens=self.limits.tokens)
        except GraphQLSyntaxError as error:
            if "tokens. Parsing aborted" in error.message:
                raise QueryTooComplex(f"A document may have {self.limits.tokens} tokens.") from None
            raise InvalidDocument("GRAPHQL_PARSE_FAILED", [error]) from None

    def _check_tokens(self, document: DocumentNode) -> None:
        """Directives, and what strings and numbers hold, used or not."""
        directives, token = 0, document.loc.start_token if document.loc else None
        while token:
            if token.kind is TokenKind.AT:
                directives += 1
                if directives > self.limits.directives:
                    raise QueryTooComplex(f"A document may have {self.limits.directives} directives.")
            elif token.kind in (TokenKind.STRING, TokenKind.BLOCK_STRING):
                check_text(token.value or "", f"the string in line {token.line}, column {token.column}")
            elif token.kind in (TokenKind.INT, TokenKind.FLOAT):
                number = token.value or ""
                if len(number) > self.limits.number_digits or isinf(float(number)):
                    raise BadUserInput(f"The number in line {token.line}, column {token.column} is too large.")
            token = token.next

    def _validate(self, document: DocumentNode) -> None:
        rules = RULES if self.introspection else (*RULES, NoSchemaIntrospectionCustomRule)
        errors = validate(self._core, document, rules, MAX_ERRORS, hide_suggestions=not self.introspection)
        if errors:
            if not self.introspection:  # other messages name types and arguments that the client need not know
                errors = [GraphQLError(HIDDEN, error.nodes) for error in errors]
            raise InvalidDocument("GRAPHQL_VALIDATION_FAILED", errors[:MAX_ERRORS])

    def _operation(
        self, document: DocumentNode, node: OperationDefinitionNode, measure: Measure
    ) -> tuple[str | None, Operation]:
        name = node.name.value if node.name else None
        kind = node.operation.value
        shared = self.public_fields | INTROSPECTION | {"__typename"}
        public = kind == "query" and not measure.viewer_dependent and shared.issuperset(measure.root_fields)
        variables = tuple(definition.variable.name.value for definition in node.variable_definitions or ())
        return name, Operation(document, name, kind, measure, variables, public, self._plan(document, name))

    def _plan(self, document: DocumentNode, name: str | None) -> Plan | None:
        try:
            return self._planner.plan(document, name)
        except NotPlanned as reason:
            self.unplanned(str(reason))
            return None

    async def execute(self, operation: Operation, variables: Mapping[str, object], context: object) -> ExecutionResult:
        """A query or mutation. Raises RequestError when nothing was executed."""
        self.authorize(operation.kind, operation.measure.root_fields, context)
        if operation.plan is not None:
            coerced = self._coerced(operation.plan.coerce(variables))
            try:
                planned = operation.plan.execute_coerced(coerced, None, context)
            except NotPlanned as reason:  # of this one's variables
                raise BadUserInput(f"Not with these variables: {reason}.") from reason
            return await planned if isawaitable(planned) else planned
        result = execute_root_selection_set(self._executor(operation, variables, context))
        return await result if isawaitable(result) else result

    async def subscribe(
        self, operation: Operation, variables: Mapping[str, object], context: Callable[[], object]
    ) -> AsyncGenerator[ExecutionResult, None]:
        """A result for each event, each with a context of its own, so that loaders may cache.

        Raises RequestError when nothing was executed, GraphQLError when the resolver failed; events may as well.
        """
        first = context()
        self.authorize(operation.kind, operation.measure.root_fields, first)
        executor = self._executor(operation, variables, first)
        source = create_source_event_stream(executor)
        if isawaitable(source):
            source = await source
        if isinstance(source, ExecutionResult):
            [error, *_] = source.errors or [GraphQLError("No events.")]
            if isinstance(error.original_error, GraphQLError):  # graphql-core's own, and no resolver's
                raise ArgumentError(error.message, error.nodes)
            raise error

        def run(event: Executor[Any]) -> AwaitableOrValue[ExecutionResult]:  # Any: graphql-core leaves it open
            if operation.plan is not None:
                try:
                    return operation.plan.execute_coerced(event.variable_values, event.root_value, context())
                except NotPlanned as reason:
                    raise BadUserInput(f"Not with these variables: {reason}.") from reason
            event.context_value = context()
            return execute_subscription_event(event)

        return map_source_to_response_event(executor, source, run)

    def _executor(
        self, operation: Operation, variables: Mapping[str, object], context: object
    ) -> Executor[Any]:  # Any: as above
        executor = self.schema.execution_context_class.build(
            self._core,
            operation.document,
            context_value=context,
            raw_variable_values=dict(variables),
            operation_name=operation.name,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=not self.introspection,
        )
        return self._coerced(executor)

    def _coerced(self, made: T | list[GraphQLError]) -> T:
        """Raises InvalidDocument where variables don't fit."""
        if isinstance(made, list):
            if not self.introspection:
                made = [GraphQLError(HIDDEN_VARIABLES, error.nodes) for error in made]
            raise InvalidDocument("BAD_USER_INPUT", made[:MAX_ERRORS])
        return made


def _alone(error: RequestError) -> RequestError:
    """Without how it came about: tracebacks lead to everything that was at hand, parsers and requests."""
    told = error.errors if isinstance(error, InvalidDocument) else ()
    for each in chain([error], *map(causes, told)):
        each.__traceback__ = each.__context__ = each.__cause__ = None
    return error


class _Known:
    """Least recently used first; bounded in number and in text, since a syntax tree takes 110 times its text."""

    max_entries = 1_000
    max_text = 32_768
    max_characters = 600_000

    def __init__(self) -> None:
        self._found: OrderedDict[str, Prepared | RequestError] = OrderedDict()
        self._characters = 0

    def __contains__(self, text: str) -> bool:
        return text in self._found

    def get(self, text: str) -> Prepared | RequestError | None:
        found = self._found.get(text)
        if found is not None:
            self._found.move_to_end(text)
        return found

    def put(self, text: str, found: Prepared | RequestError) -> None:
        if len(text) > self.max_text:
            return
        self._found[text] = found
        self._characters += len(text)
        while len(self._found) > self.max_entries or self._characters > self.max_characters:
            old, _ = self._found.popitem(last=False)
            self._characters -= len(old)
