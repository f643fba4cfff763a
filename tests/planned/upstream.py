"""Runs the execution tests of graphql-core's source distribution with the planned executor in its place.

`make upstream` needs a package registry and some megabytes of a temporary folder; nothing of it stays. What the planner
doesn't cover falls to graphql-core and is counted by its reason, and so are tests that execute no operation. A test
that expects errors which graphql-core itself doesn't promise is in `BY_RULE`: there both executors run, and must agree
by the rule of `differential.py`. One in `NOT_APPLICABLE` fails, for the reason given there; any other failure, and one
listed there that passes, makes the exit code 1.
"""

import signal
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import isawaitable, iscoroutine
from pathlib import Path
from typing import Any, Final

import graphql
import pytest
from graphql import DocumentNode, ExecutionResult, Executor, GraphQLSchema, OperationType
from graphql.execution.execute import assume_not_awaitable
from graphql.execution.executor import default_field_resolver, default_type_resolver

from backend.planned import NotPlanned, Planner
from tests.planned.differential import Everything, agree, finished

# The version is the installed one's; pytest-describe is what the tests are written for.
PINS: Final = {
    "graphql-core==3.3.2": "15d6eee7d4364fbc202833bc6bd0d504004d8ae7c0aaf620fa884d8e437622f2",
    "pytest-describe==3.2.0": "ea4ef9968145d017847b0e705d058b1ea35ea35c59b5adf4a34378c418ac455a",
}
SECONDS: Final = 5
CONFIGURATION: Final = """
[pytest]
python_classes = PyTest*
addopts = -q -p no:cacheprovider -p no:valkey -p no:randomly
filterwarnings = ignore::pytest.PytestUnknownMarkWarning
"""

# What may be reported, and in which order, where several errors null one position or lie below one.
BY_RULE: Final = (
    "test_executor.py::describe_execute_handles_basic_execution_tasks::"
    "handles_async_bubbling_errors_combined_with_non_bubbling",
    "::describe_nulls_a_complex_tree_of_nullable_fields_each::throws",
    "::describe_nulls_first_nullable_after_long_chain_of_non_null_fields::returns_null",
    "::describe_nulls_first_nullable_after_long_chain_of_non_null_fields::throws",
    "::nullable_and_non_nullable_root_fields_throw_nested_errors",
    "::slower_nullable_after_non_nullable_root_field",
    "::nullable_and_non_nullable_nested_fields_throw_nested_errors",
    "::slower_nullable_after_non_nullable_nested_field",
)
_WAITS: Final = "what was started is awaited, not cancelled, when a sibling's failure makes it needless"
_READS: Final = "an iterable is read to its end before its items are completed"
_CAUSE: Final = "the other one of two errors that null the same list is named"
# Tests that mean something the planner doesn't do, and what; by the end of their id.
NOT_APPLICABLE: Final[Mapping[str, str]] = {
    "::stops_late_sibling_object_completion_after_non_null_bubbling": _WAITS,
    "::handles_sync_errors_combined_with_async_ones": _WAITS,
    "::handles_sync_errors_combined_with_async_ones_in_async_context": _WAITS,
    "::handles_sync_errors_with_later_pending_awaitables": _WAITS,
    "::cancel_selection_sets": _WAITS,
    "::cancel_lists": _WAITS,
    "::cancel_async_iterators": _WAITS,
    "::handles_mixture_of_sync_and_async_errors_in_async_iterables": _CAUSE,
    "::calls_aclose_when_non_null_list_item_errors": _READS,
}

Result = ExecutionResult | Awaitable[ExecutionResult]


def _out_of_time(*_: object) -> None:
    raise TimeoutError(f"waits for longer than {SECONDS} s")


class NotOurs(Exception):
    """This call is none that the planned executor takes the place of; the message says why."""


@dataclass
class Tally:
    """How one test's executions went."""

    planned: int = 0
    fallen_back: Counter[str] = field(default_factory=Counter)


class Replacement:
    """A pytest plugin: graphql-core's executions by plan."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._running = Tally()
        self._by_rule = False
        self._module: Any = sys.modules["graphql.execution.execute"]  # Any: its names are replaced
        self._incrementally = self._module.experimental_execute_incrementally
        self._operation = Executor.execute_operation

    def pytest_configure(self) -> None:
        # `execute`, `execute_sync`, `graphql` and `graphql_sync`, however imported, all come to the first; events of
        # subscriptions to the second.
        self._module.experimental_execute_incrementally = self._execute
        Executor.execute_operation = self._execute_event_of()  # type: ignore[method-assign] # that is the aim

    def pytest_unconfigure(self) -> None:
        self._module.experimental_execute_incrementally = self._incrementally
        Executor.execute_operation = self._operation  # type: ignore[method-assign] # as above

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._running = self.tallies[item.nodeid]
        self._by_rule = item.nodeid.endswith(BY_RULE)
        signal.signal(signal.SIGALRM, _out_of_time)
        signal.alarm(SECONDS)
        try:
            return (yield)
        finally:
            signal.alarm(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome
            said = str(report.longrepr or "").strip().splitlines()
            self.reasons[report.nodeid] = next((line for line in said if line.startswith("E ")), "")

    def _execute(
        self, schema: GraphQLSchema, document: DocumentNode, *arguments: Any, **named: Any
    ) -> Any:  # Any: as graphql-core has them
        try:
            result = _by_plan(schema, document, *arguments, **named)
            if self._by_rule:
                result = self._compared(result, schema, document, *arguments, **named)
        except (NotOurs, NotPlanned) as reason:
            self._running.fallen_back[str(reason)] += 1
            return self._incrementally(schema, document, *arguments, **named)
        self._running.planned += 1
        return result

    async def _compared(
        self,
        planned: Result,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: object = None,
        context_value: object = None,
        variable_values: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        *arguments: Any,  # Any: as above
        **named: Any,  # Any: as above
    ) -> ExecutionResult:
        """graphql-core's result, where both agree."""
        given = (root_value, context_value, dict(variable_values or {}), operation_name)
        expected, _ = await finished(self._incrementally(schema, document, *given, *arguments, **named))
        found, _ = await finished(planned)
        await agree(document, expected, found, lambda: Everything.run(schema, document, *given))
        return expected

    def _execute_event_of(self) -> Callable[..., Any]:  # Any: as above
        def execute_operation(executor: Executor[Any], serially: bool | None = None) -> Any:  # Any: likewise
            if executor.operation.operation is not OperationType.SUBSCRIPTION or serially is None:
                return self._operation(executor, serially)
            try:
                result = _event_by_plan(executor)
            except (NotOurs, NotPlanned) as reason:
                self._running.fallen_back[str(reason)] += 1
                return self._operation(executor, serially)
            self._running.planned += 1
            return result

        return execute_operation


@cache
def planner_of(schema: GraphQLSchema, max_coercion_errors: int = 50, hide_suggestions: bool = False) -> Planner:
    return Planner(schema, max_coercion_errors=max_coercion_errors, hide_suggestions=hide_suggestions)


def _by_plan(
    schema: GraphQLSchema,
    document: DocumentNode,
    root_value: object = None,
    context_value: object = None,
    variable_values: Mapping[str, object] | None = None,
    operation_name: str | None = None,
    field_resolver: object = None,
    type_resolver: object = None,
    subscribe_field_resolver: object = None,
    max_coercion_errors: int = 50,
    enable_early_execution: bool = False,
    middleware: object = None,
    executor_class: object = None,
    is_awaitable: object = None,
    is_async_iterable: object = None,
    *,
    hide_suggestions: bool = False,
    abort_signal: object = None,
    hooks: object = None,
    **custom: object,
) -> Result:
    del subscribe_field_resolver, enable_early_execution
    sync = is_awaitable is assume_not_awaitable
    _check(
        {
            "cancellation": abort_signal,
            "execution hooks": hooks,
            "middleware": middleware,
            "a custom executor class": executor_class or custom,
            "a custom field resolver": field_resolver,
            "a custom type resolver": type_resolver,
            "a custom is_awaitable": None if sync else is_awaitable,
            "a custom is_async_iterable": None if sync else is_async_iterable,
        }
    )
    if any(graphql.validate_schema(schema)):
        raise NotOurs("a schema that isn't valid")
    plan = planner_of(schema, max_coercion_errors, hide_suggestions).plan(document, operation_name)
    result = plan.execute(root_value, context_value, variable_values or {})
    if sync and isawaitable(result):
        if iscoroutine(result):
            result.close()
        raise NotOurs("execute_sync, where something must be awaited")
    return result


def _event_by_plan(executor: Executor[Any]) -> Result:  # Any: as above
    _check(
        {
            "cancellation": executor.abort_signal,
            "execution hooks": executor.hooks,
            "middleware": executor.middleware_manager,
            "a custom executor class": getattr(type(executor), "__module__", "").startswith("upstream_tests"),
            "a custom field resolver": executor.field_resolver is not default_field_resolver,
            "a custom type resolver": executor.type_resolver is not default_type_resolver,
        }
    )
    document = DocumentNode(definitions=(executor.operation, *executor.fragment_definitions.values()))
    plan = planner_of(executor.schema).plan(document)
    return plan.execute_coerced(executor.variable_values, executor.root_value, executor.context_value)


def _check(reasons: Mapping[str, object]) -> None:
    for reason, given in reasons.items():
        if given:
            raise NotOurs(reason)


def report(plugin: Replacement) -> int:
    """Prints what came of it. 1 if anything is other than it should be."""
    groups: dict[str, list[str]] = defaultdict(list)
    wrong: list[str] = []
    for test, outcome in sorted(plugin.outcomes.items()):
        tally = plugin.tallies[test]
        why_not = next((why for end, why in NOT_APPLICABLE.items() if test.endswith(end)), None)
        if outcome == "skipped":
            groups["skipped by graphql-core"].append(test)
        elif outcome == "failed" and why_not:
            groups[f"not applicable: {why_not}"].append(test)
        elif outcome == "failed":
            wrong.append(f"FAILED {test}\n       {plugin.reasons[test]}")
        elif why_not:
            wrong.append(f"PASSES, and is listed as not applicable: {test}")
        elif tally.planned:
            by_rule = test.endswith(BY_RULE)
            groups["passed by plan, errors compared by the rule" if by_rule else "passed by plan"].append(test)
        elif tally.fallen_back:
            groups[f"not applicable, passed by graphql-core: {', '.join(sorted(tally.fallen_back))}"].append(test)
        else:
            groups["not applicable: executes nothing"].append(test)
    planned = sum(tally.planned for tally in plugin.tallies.values())
    fallen_back = sum((tally.fallen_back for tally in plugin.tallies.values()), Counter[str]())
    print(f"\n{len(plugin.outcomes)} tests; executions by plan: {planned}, by graphql-core: {fallen_back.total()}")
    for reason, count in fallen_back.most_common():
        print(f"  {count:4} {reason}")
    print()
    for group, tests in sorted(groups.items(), key=lambda each: -len(each[1])):
        print(f"{len(tests):4} {group}")
    print(f"{len(wrong):4} wrong", *wrong, sep="\n")
    return 1 if wrong or not planned else 0


def fetch(folder: Path) -> Path:
    """The unpacked source distribution, and beside it what its tests are run with. Hashes are checked."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    for pin, digest in PINS.items():
        (folder / "pins.txt").write_text(f"{pin} --hash=sha256:{digest}\n")
        asked = ("--no-deps", "--require-hashes", "--requirement", str(folder / "pins.txt"))
        if pin.startswith("graphql-core"):
            subprocess.run([*pip, "download", *asked, "--no-binary", "graphql-core", "--dest", str(folder)], check=True)
        else:
            subprocess.run([*pip, "install", *asked, "--target", str(folder / "site")], check=True)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="heitto-upstream-") as name:
        source = fetch(Path(name))
        sys.path.insert(0, str(source.parent / "site"))
        (source / "pytest.ini").write_text(CONFIGURATION)
        # `tests` is our own package here.
        tests = (source / "tests").rename(source / "upstream_tests") / "execution"
        plugin = Replacement()
        pytest.main(
            [
                *("-c", str(source / "pytest.ini"), "--rootdir", str(source), "--tb=short"),
                *(str(tests), "--ignore", str(tests / "incremental"), *sys.argv[1:]),
            ],
            plugins=[plugin],
        )
        return report(plugin)


if __name__ == "__main__":
    sys.exit(main())
