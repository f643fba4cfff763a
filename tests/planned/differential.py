"""One operation through two executors: graphql-core, and the planned one that has to say the same.

`data` must be the same to the last byte, the order of its keys included. Of errors graphql-core promises less: once
something is set to null, what else failed below it is reported or not as timing has it. Hence this rule:

* An error *falls* on the nearest nullable position at or above its path, by the types of the objects on the way
  (everything may fall on the root). There `data` must be null, or the error is wrong.
* If something above that position is null as well, the error lies under a nulled ancestor. It doesn't count.
* The other errors are grouped by the position they fall on. Both executors must have errors on the same positions.
  Where several can fall on one, each executor may name any of them, but none that can't happen: it has to be among
  those of `Everything`, which is graphql-core with error propagation turned off, where nothing that fails hides or
  cancels anything else.

Two errors are the same if path, message, `extensions`, locations and the class of the original error are.
A request that is refused before anything runs must be refused with the same errors in the same order.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import isawaitable
from typing import Any, TypeAlias

import graphql
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
    print_ast,
)
from graphql.pyutils import AwaitableOrValue, Path

from backend.planned import Planner

ErrorPath: TypeAlias = tuple[str | int, ...]
Variables: TypeAlias = Mapping[str, Any]  # Any: what JSON holds


@dataclass(frozen=True)
class Failure:
    """What has to be the same of an error."""

    path: ErrorPath | None
    message: str
    extensions: str
    locations: tuple[tuple[int, int], ...]
    original: type[BaseException] | None

    @staticmethod
    def of(error: GraphQLError) -> "Failure":
        return Failure(
            None if error.path is None else tuple(error.path),
            error.message,
            json.dumps(error.extensions, default=repr),
            tuple((each.line, each.column) for each in error.locations or ()),
            type(error.original_error) if error.original_error else None,
        )


class Difference(AssertionError):
    pass


@cache
def planner_of(schema: GraphQLSchema) -> Planner:
    return Planner(schema)


async def compare(
    schema: GraphQLSchema,
    document: DocumentNode,
    variables: Variables | None = None,
    root: object = None,
    make_context: Callable[[], Any] = lambda: None,  # Any: a context, equal at each call
    *,
    operation_name: str | None = None,
    planner: Planner | None = None,
) -> ExecutionResult:
    """The result on which both agree. Raises Difference, and NotPlanned where the planner doesn't cover the document.

    `make_context` is called first for graphql-core, then for the plan, then perhaps for `Everything`.
    """
    plan = (planner or planner_of(schema)).plan(document, operation_name)
    given = dict(variables or {})
    expected, at_once = await finished(
        graphql.execute(schema, document, root, make_context(), given, operation_name=operation_name)
    )
    found, found_at_once = await finished(
        plan.execute(root_value=root, context_value=make_context(), variable_values=given)
    )
    if at_once and not found_at_once and not expected.errors:
        raise Difference(f"graphql-core answered at once, the plan didn't:\n{print_ast(document)}")

    async def everything() -> "Everything":
        return await Everything.run(schema, document, root, make_context(), given, operation_name)

    await agree(document, expected, found, everything, f"variables: {given!r}")
    return expected


async def finished(result: AwaitableOrValue[Any]) -> tuple[ExecutionResult, bool]:  # Any: graphql-core is vague here
    """A result, and whether it was there at once."""
    return (await result, False) if isawaitable(result) else (result, True)


async def agree(
    document: DocumentNode,
    expected: ExecutionResult,
    found: ExecutionResult,
    everything: Callable[[], Awaitable["Everything"]],
    about: str = "",
) -> None:
    """Raises Difference by the rule above. `everything` is asked only where there are errors."""

    def differ(what: str, one: object, other: object) -> Difference:
        compared = f"{what}\n  graphql-core: {one}\n  planned:      {other}"
        return Difference(f"{compared}\n{print_ast(document)}\n{about}\ndata: {_written(expected.data)}")

    if _written(expected.data) != _written(found.data):
        raise differ("data differ", _written(expected.data), _written(found.data))
    by_core, by_plan = ([Failure.of(error) for error in result.errors or ()] for result in (expected, found))
    if any(failure.path is None for failure in (*by_core, *by_plan)):
        if by_core != by_plan:
            raise differ("errors of the request differ", by_core, by_plan)
        return
    if (found.errors is None) != (not by_plan):
        raise differ("errors are None where there are none", expected.errors, found.errors)
    if len(set(by_plan)) != len(by_plan):
        raise differ("an error is reported twice", by_core, by_plan)
    if not by_core and not by_plan:
        return
    all_of_it = await everything()
    try:
        fallen, fallen_by_plan = (all_of_it.fallen(each, expected.data) for each in (by_core, by_plan))
    except Misplaced as misplaced:
        raise differ(str(misplaced), by_core, by_plan) from None
    if fallen.keys() != fallen_by_plan.keys():
        raise differ("errors differ", by_core, by_plan)
    for position, failures in fallen_by_plan.items():
        if not failures <= all_of_it.failures:
            raise differ(f"errors on {position} differ", fallen[position], failures)


def _written(data: object) -> str:
    return json.dumps(data, default=repr)


class Misplaced(Exception):
    pass


class Everything(Executor[Any]):  # Any: graphql-core leaves it open
    """Executes without error propagation, and remembers which types stood where."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: as graphql-core has them
        super().__init__(*arguments, **named)
        self.error_propagation = False
        self._types: dict[ErrorPath, GraphQLOutputType] = {}

    @classmethod
    async def run(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root: object,
        context: object,
        variables: Variables,
        operation_name: str | None,
    ) -> "Everything":
        executor = cls.build(schema, document, root, context, dict(variables), operation_name)
        assert isinstance(executor, Everything), executor
        await finished(executor.execute_operation())
        return executor

    @property
    def failures(self) -> set[Failure]:
        return {Failure.of(error) for error in self.collected_errors.errors}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: object,
        path: Path | None,
        grouped_field_set: Any,  # Any: as graphql-core has it
        position_context: Any,  # Any: likewise
    ) -> AwaitableOrValue[dict[str, Any]]:
        self._remember(parent_type, path, grouped_field_set)
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    def execute_fields_serially(
        self,
        parent_type: GraphQLObjectType,
        source_value: object,
        path: Path | None,
        grouped_field_set: Any,  # Any: as above
        position_context: Any,  # Any: likewise
    ) -> AwaitableOrValue[dict[str, Any]]:
        self._remember(parent_type, path, grouped_field_set)
        return super().execute_fields_serially(parent_type, source_value, path, grouped_field_set, position_context)

    def _remember(self, parent_type: GraphQLObjectType, path: Path | None, fields: Mapping[str, Any]) -> None:
        place = tuple(path.as_list()) if path else ()
        for key, details in fields.items():
            field = self.schema.get_field(parent_type, details[0].node.name.value)
            if field:
                self._types[*place, key] = field.type

    def fallen(self, failures: Iterable[Failure], data: object) -> dict[ErrorPath, set[Failure]]:
        """The errors that count, by the position each fell on. Raises Misplaced for one that fell on no null."""
        fallen: dict[ErrorPath, set[Failure]] = {}
        for failure in failures:
            assert failure.path is not None
            falls_on = self.nullable(failure.path)
            null = _first_null(data, failure.path)
            if null is None or len(null) > len(falls_on):
                raise Misplaced(f"the error at {failure.path} falls on {falls_on}, which is not null")
            if null == falls_on:
                fallen.setdefault(null, set()).add(failure)
        return fallen

    def nullable(self, path: ErrorPath) -> ErrorPath:
        """The nearest nullable position at or above a path; the root is one. Raises Misplaced where nothing is."""
        nearest: ErrorPath = ()
        type_: GraphQLOutputType | None = None
        for index, step in enumerate(path):
            here = path[: index + 1]
            listed = get_nullable_type(type_)
            type_ = listed.of_type if isinstance(step, int) and is_list_type(listed) else self._types.get(here)
            if type_ is None:
                raise Misplaced(f"there is nothing at {here}")
            if not is_non_null_type(type_):
                nearest = here
        return nearest


def _first_null(data: Any, path: ErrorPath) -> ErrorPath | None:  # Any: JSON
    """The shortest part of a path that is null in the data."""
    if data is None:
        return ()
    for index, step in enumerate(path):
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
        if data is None:
            return path[: index + 1]
    return None


async def settled() -> None:
    """Returns when nothing of what was started runs any more: graphql-core leaves some of it in the background."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
