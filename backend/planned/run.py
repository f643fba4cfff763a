"""One execution of a plan.

Levels are worked through as far as they go without waiting; then everything that must be waited for is awaited
together, and what comes of it makes new levels. So a batch sees all objects that are there at its turn.
"""

from asyncio import gather
from collections.abc import Awaitable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    ExecutionResult,
    Executor,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLObjectType,
    default_field_resolver,
    located_error,
)
from graphql.execution.values import VariableValues

from backend.planned.completion import FAILED, Failed, Value, Values, is_awaitable, only_plain
from backend.planned.hints import Attribute, Batch, Each, Info
from backend.planned.spots import Below, Root, Spot, as_path

if TYPE_CHECKING:
    from backend.planned.plan import Block, Field, Plan


@dataclass(slots=True)
class Level:
    """Objects of one type, with the row of the answer that each one fills."""

    block: "Block"
    objects: Values
    rows: Values
    spot: Spot


@dataclass(slots=True)
class _Error:
    error: Exception
    field: "Field"
    spot: Spot
    index: int


class Run:
    def __init__(self, plan: "Plan", variables: VariableValues, root_value: object, context_value: object) -> None:
        self.plan = plan
        self._variables = variables
        self._root_value = root_value
        self._context_value = context_value
        self._executor: Executor[Any] | None = None  # Any: graphql-core leaves it open
        self._errors: list[_Error] = []
        self._levels: list[Level] = []
        self._waiting: list[tuple[Awaitable[Values], Level, Field, bool]] = []

    def execute(self, block: "Block", *, serially: bool) -> ExecutionResult | Awaitable[ExecutionResult]:
        row = block.template.copy()
        root = Level(block, [self._root_value], [row], Root())
        if serially and len(block.fields) > 1:
            return self._serially(root)
        for field in block.fields:
            self._resolve(root, field)
        self._work()
        return self._rest(row) if self._waiting else self._result(row)

    async def _rest(self, row: dict[str, object]) -> ExecutionResult:
        await self._wait()
        return self._result(row)

    def _serially(self, root: Level) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Each root field with all that is below it, before the next one begins."""
        fields = iter(root.block.fields)
        for field in fields:
            self._resolve(root, field)
            self._work()
            if self._waiting:
                return self._serially_later(root, fields)
            if self._nothing_left():
                break
        return self._result(root.rows[0])

    async def _serially_later(self, root: Level, fields: Iterable["Field"]) -> ExecutionResult:
        await self._wait()
        for field in fields:
            if self._nothing_left():
                break
            self._resolve(root, field)
            self._work()
            await self._wait()
        return self._result(root.rows[0])

    def _nothing_left(self) -> bool:
        """Whether an error reaches the root: nothing more is done for an answer that is null."""
        return any(not any(step.nullable for step in each.spot.steps(each.index)) for each in self._errors)

    def _work(self) -> None:
        """All levels, as far as they go without waiting."""
        levels = self._levels
        for level in levels:  # it grows meanwhile
            for field in level.block.fields:
                self._resolve(level, field)
        levels.clear()

    async def _wait(self) -> None:
        """All that must be waited for, wave by wave."""
        while self._waiting:
            wave, self._waiting = self._waiting, []
            results = await self.together([each[0] for each in wave])
            for (_, level, field, completed), result in zip(wave, results, strict=True):
                if isinstance(result, Exception):
                    self._settle(level, field, [result] * len(level.objects))
                elif completed:
                    self._store(level, field, result)
                else:
                    self._settle(level, field, result)
            self._work()

    def _resolve(self, level: Level, field: "Field") -> None:
        hint = field.hint
        objects = level.objects
        try:
            if field.quick:
                get, leaves = field.quick
                if leaves.done(values := list(map(get, objects))):
                    for row, value in zip(level.rows, values, strict=True):
                        row[field.key] = value
                    return
            if type(hint) is Attribute:
                values = list(map(hint.get, objects))
                if only_plain({*map(type, values)}):
                    self._complete(level, field, values)
                else:
                    self._settle(level, field, values)
                return
            arguments = field.arguments(self._variables)
            if type(hint) is Batch:
                batch = hint.resolve(objects, self._shared_info(field), arguments)
                if not isinstance(batch, Sequence):
                    self._waiting.append((_listed(batch), level, field, False))
                    return
                values = list(batch)
            else:
                values = self._each(level, field, arguments)
        except Exception as error:
            values = [error] * len(objects)
        self._settle(level, field, values)

    def _each(self, level: Level, field: "Field", arguments: dict[str, Any]) -> Values:  # Any: as graphql-core has it
        values: Values = []
        hint = field.hint
        if type(hint) is Each:
            resolve = hint.bind(self._shared_info(field), arguments)
            for source in level.objects:
                try:
                    values.append(resolve(source))
                except Exception as error:
                    values.append(error)
            return values
        resolver = field.definition.resolve or default_field_resolver
        spot = Below(level.spot, field.key, field.nullable, field.parent_type.name)
        for index, source in enumerate(level.objects):
            try:
                values.append(resolver(source, self.info(field, spot, index), **arguments))
            except Exception as error:
                values.append(error)
        return values

    def _settle(self, level: Level, field: "Field", values: Values) -> None:
        """On to completion, once there is nothing among the values to wait for and no exception."""
        if only_plain({*map(type, values)}):
            self._complete(level, field, values)
        elif any(is_awaitable(value) for value in values):
            self._waiting.append((self.all_awaited(values), level, field, False))
        else:
            self._complete(level, field, self.without_exceptions(field, values, self._below(level, field)))

    def _complete(self, level: Level, field: "Field", values: Values) -> None:
        out = field.completer.complete(self, field, values, self._below(level, field))
        if isinstance(out, list):
            self._store(level, field, out)
        else:
            self._waiting.append((out, level, field, True))

    def _store(self, level: Level, field: "Field", out: Values) -> None:
        key = field.key
        if self._errors and Failed in {*map(type, out)}:
            out = [None if value is FAILED else value for value in out]
        for row, value in zip(level.rows, out, strict=True):
            row[key] = value

    def _below(self, level: Level, field: "Field") -> Spot:
        return Below(level.spot, field.key, field.nullable, field.parent_type.name)

    def descend(self, field: "Field", type_: GraphQLObjectType, values: Values, spot: Spot) -> Values:
        """Rows for objects of a type, to be filled on a level of their own."""
        block = field.block(type_)
        template = block.template
        rows = [template.copy() for _ in values]
        if block.fields:
            self._levels.append(Level(block, values, rows, spot))
        return rows

    def abandon(self, values: Values) -> None:
        """Lets what awaits among values end in the background: somebody counts on its being awaited."""
        awaitables: list[Awaitable[Value]] = [_awaited(value) for value in values if is_awaitable(value)]
        if awaitables:
            self._as_executor().settle_in_background(awaitables)

    async def together(self, awaitables: Sequence[Awaitable[Value]]) -> Values:
        """What all of them give: values, or the exceptions they end with."""
        if len(awaitables) == 1:
            try:
                return [await awaitables[0]]
            except Exception as error:
                return [error]
        results: Values = await gather(*map(_awaited, awaitables), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result
        return results

    async def all_awaited(self, values: Values) -> Values:
        """The same row, with what awaitables give, or the exceptions they end with, in their places."""
        values = list(values)
        waiting = [index for index, value in enumerate(values) if is_awaitable(value)]
        for index, result in zip(waiting, await self.together([values[at] for at in waiting]), strict=True):
            values[index] = result
        return values

    def without_exceptions(self, field: "Field", values: Values, spot: Spot) -> Values:
        return [
            self.fail(value, field, spot, index) if isinstance(value, Exception) else value
            for index, value in enumerate(values)
        ]

    def fail(self, error: Exception, field: "Field", spot: Spot, index: int) -> Failed:
        """Notes an error; gives what stands in its place."""
        self._errors.append(_Error(error, field, spot, index))
        return FAILED

    def _result(self, data: dict[str, object]) -> ExecutionResult:
        return ExecutionResult(data, None) if not self._errors else self._with_errors(data)

    def _with_errors(self, data: dict[str, object]) -> ExecutionResult:
        """Errors with their paths, and null where they reach up to; one for each place that became null, and none
        below such a place."""
        nulled: dict[tuple[str | int, ...], GraphQLError] = {}
        for each in self._errors:
            steps = each.spot.steps(each.index)
            path = [step.key for step in steps]
            reach = len(steps)
            while reach and not steps[reach - 1].nullable:
                reach -= 1
            nulled.setdefault(tuple(path[:reach]), located_error(each.error, each.field.nodes, path))
        kept = [
            error
            for place, error in nulled.items()
            if not any(place[:length] in nulled for length in range(len(place)))
        ]
        if () in nulled:
            return ExecutionResult(None, kept)
        for place in nulled:
            _put_null(data, place)
        return ExecutionResult(data, kept)

    def _shared_info(self, field: "Field") -> Info:
        return self._info(field, None)

    def info(self, field: "Field", spot: Spot, index: int) -> Info:
        """What graphql-core tells a resolver of one object."""
        steps = spot.steps(index)
        while steps and isinstance(steps[-1].key, int):
            steps.pop()  # an item's is its field's
        return self._info(field, as_path(steps))

    def _info(self, field: "Field", path: Any) -> Info:  # Any: None where it is shared
        return self._as_executor().build_resolve_info(field.definition, list(field.nodes), field.parent_type, path)

    def runtime_type(
        self, name: object, type_: GraphQLAbstractType, field: "Field", value: object
    ) -> GraphQLObjectType:
        """The object type with this name. Raises GraphQLError where it is none of `type_`."""
        info = self._info(field, None)
        return self._as_executor().ensure_valid_runtime_type(name, type_, field.details, info, value)

    def _as_executor(self) -> Executor[Any]:  # Any: as above
        """graphql-core's own in this run's state: for what it builds and checks, never to execute."""
        if self._executor is None:
            self._executor = copy(self.plan.prototype)
            self._executor.variable_values = self._variables
            self._executor.root_value = self._root_value
            self._executor.context_value = self._context_value
        return self._executor


async def _awaited(awaitable: Awaitable[Value]) -> Value:
    """As a coroutine: others may lack what a task needs of them, such as a hash."""
    return await awaitable


async def _listed(batch: Awaitable[Sequence[object]]) -> Values:
    return list(await batch)


def _put_null(data: Any, path: Sequence[str | int]) -> None:  # Any: a tree of rows and lists
    for key in path[:-1]:
        data = data[key]
        if data is None:
            return
    data[path[-1]] = None
