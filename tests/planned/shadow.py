"""Every query that the application executes is executed by graphql-core as well: `pytest --differential`.

The answer is the plan's. graphql-core gets a context of its own, so that it reads for itself, and the same state of the
database; where others write meanwhile, both are asked again. What is too much for graphql-core, or is cancelled, is
counted as given up. Servers that a test starts as processes are out of reach.
"""

import asyncio
import contextvars
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import graphql
from graphql import DocumentNode, ExecutionResult, Executor, OperationType
from graphql.execution.values import VariableValues

from backend.db import pool
from backend.errors import Unavailable
from backend.planned import NotPlanned, Plan
from backend.transport import pipeline
from backend.transport.answers import MAX_ERRORS, InvalidDocument
from backend.transport.operations import Operation, Operations
from tests.planned.differential import Difference, Everything, agree, finished

ROUNDS = 4
# graphql-core reads object by object, and so waits for connections.
ACQUIRE_SECONDS = 30.0
QUERY_SECONDS = 60
T = TypeVar("T")


@dataclass
class Shadow:
    """What was compared, by kind, and what differed."""

    compared: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    async def query(
        self, operations: Operations, operation: Operation, variables: Mapping[str, object], context: object
    ) -> None:
        """Raises nothing: what differs is noted."""
        core, given = operations._core, dict(variables)  # there is no public way to it
        plan = operation.plan
        assert plan
        strawberry_executor = operations.schema.execution_context_class

        async def by_core() -> ExecutionResult:
            result = graphql.execute(
                core,
                operation.document,
                context_value=fresh(context),
                variable_values=given,
                operation_name=operation.name,
                max_coercion_errors=MAX_ERRORS,
                hide_suggestions=not operations.introspection,
                executor_class=strawberry_executor,
            )
            return (await finished(result))[0]

        async def by_plan() -> ExecutionResult:
            return (await finished(plan.execute(None, fresh(context), given)))[0]

        async def everything() -> Everything:
            executor = everything_of(strawberry_executor)
            return await executor.run(core, operation.document, None, fresh(context), given, operation.name)

        await self._compare("query", operation.document, by_core, by_plan, everything, f"{given} {context}")

    async def event(self, plan: Plan, variables: VariableValues, root: object, context: object) -> None:
        """One event of a subscription."""
        operation, schema = plan.operation, plan.planner.schema
        without = {name: getattr(operation, name) for name in operation.keys} | {"variable_definitions": ()}
        document = DocumentNode(definitions=(type(operation)(**without), *plan.fragments.values()))

        def built(kind: type[Executor[Any]]) -> Executor[Any]:  # Any: graphql-core leaves it open
            executor = kind.build(schema, document, root, fresh(context))
            assert isinstance(executor, Executor)
            executor.variable_values = variables
            return executor

        async def by_core() -> ExecutionResult:
            return (await finished(built(plan.planner.executor_class).execute_operation(False)))[0]

        async def by_plan() -> ExecutionResult:
            return (await finished(_execute_coerced(plan, variables, root, fresh(context))))[0]

        async def everything() -> Everything:
            executor = built(everything_of(plan.planner.executor_class))
            assert isinstance(executor, Everything)
            await finished(executor.execute_operation(False))
            return executor

        await self._compare("event", document, by_core, by_plan, everything, f"{variables.coerced} {context}")

    async def _compare(
        self,
        kind: str,
        document: DocumentNode,
        by_core: Callable[[], Awaitable[ExecutionResult]],
        by_plan: Callable[[], Awaitable[ExecutionResult]],
        everything: Callable[[], Awaitable[Everything]],
        about: str,
    ) -> None:
        for round_ in range(ROUNDS):
            try:
                expected, found = await by_core(), await by_plan()
            except asyncio.CancelledError:
                if cancelled():
                    raise
                self.compared["given up"] += 1
                return
            if any(isinstance(error.original_error, Unavailable) for error in expected.errors or ()):
                self.compared["given up"] += 1
                return
            try:
                await agree(document, expected, found, everything, about)
            except Difference as difference:
                if round_ + 1 == ROUNDS:
                    self.differences.append(str(difference))
            else:
                self.compared[kind] += 1
                return


def cancelled() -> bool:
    """Whether somebody wants this task to end. Else a cancellation came from a future that others gave up."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_execute = Operations.execute
_execute_coerced = Plan.execute_coerced


def everything_of(kind: type[Executor[Any]]) -> type[Everything]:  # Any: as above
    return type("EverythingHere", (Everything, kind), {})


def fresh(context: Any) -> Any:  # Any: each application's own
    """A context with the same caller, in which nothing was read yet."""
    if not dataclasses.is_dataclass(context) or isinstance(context, type):
        return context
    made = {
        each.name: each.default_factory()
        for each in dataclasses.fields(context)
        if each.init and each.default_factory is not dataclasses.MISSING
    }
    return dataclasses.replace(context, **made)


async def apart(work: Awaitable[T]) -> T:
    """Out of sight of what counts a request's statements by context variables."""

    async def run() -> T:
        pool.ACQUIRE_SECONDS, before = ACQUIRE_SECONDS, pool.ACQUIRE_SECONDS
        try:
            return await work
        finally:
            pool.ACQUIRE_SECONDS = before

    return await asyncio.get_running_loop().create_task(run(), context=contextvars.Context())


@contextmanager
def shadowed() -> Any:  # Any: an iterator of one Shadow, to contextmanager
    """Compares all that this process executes meanwhile."""
    shadow = Shadow()

    async def execute(
        self: Operations, operation: Operation, variables: Mapping[str, object], context: object
    ) -> ExecutionResult:
        before = fresh(context)
        try:
            result = await _execute(self, operation, variables, context)
        except InvalidDocument:
            if operation.kind == "query" and operation.plan is not None:
                await _unless_unplanned(apart(shadow.query(self, operation, variables, before)))
            raise
        if operation.kind == "query" and operation.plan is not None:
            await _unless_unplanned(apart(shadow.query(self, operation, variables, before)))
        return result

    def execute_coerced(
        self: Plan, variables: VariableValues, root_value: object = None, context_value: object = None
    ) -> Any:  # Any: a result or an awaitable of one
        if self.operation.operation is not OperationType.SUBSCRIPTION:
            return _execute_coerced(self, variables, root_value, context_value)

        async def both() -> ExecutionResult:
            await _unless_unplanned(apart(shadow.event(self, variables, root_value, fresh(context_value))))
            return (await finished(_execute_coerced(self, variables, root_value, context_value)))[0]

        return both()

    Operations.execute = execute  # type: ignore[method-assign] # that is the aim
    Plan.execute_coerced = execute_coerced  # type: ignore[method-assign] # likewise
    pipeline.QUERY_SECONDS, seconds = QUERY_SECONDS, pipeline.QUERY_SECONDS
    try:
        yield shadow
    finally:
        pipeline.QUERY_SECONDS = seconds
        Operations.execute = _execute  # type: ignore[method-assign] # as above
        Plan.execute_coerced = _execute_coerced  # type: ignore[method-assign] # as above


async def _unless_unplanned(work: Awaitable[None]) -> None:
    try:
        await work
    except NotPlanned:
        return
