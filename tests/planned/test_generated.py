"""Operations made up by hypothesis, over resolvers that fail, wait and lie, say the same through both executors.

`DIFFERENTIAL_EXAMPLES=20 make test ARGS="tests/planned"` runs twenty times as many, other ones each time.
"""

import asyncio
import gc
import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from random import Random

import pytest
from graphql import ExecutionResult, OperationType, execute, parse, validate
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from backend.planned import NotPlanned
from tests.planned import toy
from tests.planned.differential import compare, finished, settled
from tests.planned.operations import Generated, operations, write_operation

# Where a list fails graphql-core itself forgets some coroutines.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine:pytest.PytestUnraisableExceptionWarning"),
]

TIMES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "1"))
# Per hundred values: how many fail, how many are waited for.
MOODS = ((0, 0), (6, 0), (0, 40), (3, 15), (25, 40))
KINDS = {OperationType.QUERY: 350, OperationType.MUTATION: 120, OperationType.SUBSCRIPTION: 60}
SCHEMA = toy.schema()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What was forgotten is collected while its warnings are expected."""
    yield
    gc.collect()


def drawn(kind: OperationType) -> st.SearchStrategy[Generated]:
    return st.integers(0, 3).flatmap(lambda levels: operations(SCHEMA, kind, examples=toy.examples, levels=levels))


async def _same(generated: Generated, kind: OperationType, seed: int) -> None:
    document = parse(generated.text)
    assume(not validate(SCHEMA, document))
    for failing, waiting in MOODS:
        worlds: list[toy.World] = []

        def make_context(failing: int = failing, waiting: int = waiting, worlds: list[toy.World] = worlds) -> toy.World:
            worlds.append(toy.World(seed, failing, waiting))
            return worlds[-1]

        source = toy.root(toy.World(seed, failing, waiting), kind.value.capitalize())
        try:
            await compare(SCHEMA, document, generated.variables, source, make_context, operation_name=generated.name)
        except NotPlanned as reason:
            assert str(reason) == "a condition that is not a Boolean"
            continue
        finally:
            await settled()
        if len(worlds) > 1:
            core, plan = worlds[:2]
            assert plan.begun == core.begun, "mutations that run"
            assert len({*plan.log}) == len(list(groupby(plan.log))), "one mutation after the other"


@pytest.mark.parametrize("kind", KINDS)
def test_generated_operations_have_the_same_answer(kind: OperationType, runner: asyncio.Runner) -> None:
    @settings(
        max_examples=KINDS[kind] * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),  # explaining takes minutes
    )
    @given(drawn(kind), st.integers(0, 2**16))
    def same(generated: Generated, seed: int) -> None:
        note(generated.text)
        runner.run(_same(generated, kind, seed))

    same()


def _sample(kind: OperationType, count: int) -> list[Generated]:
    dice = Random(7)
    return [
        write_operation(SCHEMA, kind, dice.randrange, examples=toy.examples, levels=dice.randrange(4))
        for _ in range(count)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_all_generated_operations_are_valid(kind: OperationType) -> None:
    invalid = [each.text for each in _sample(kind, 200) if validate(SCHEMA, parse(each.text))]
    assert len(invalid) <= 4, invalid[0]


WANTED = {
    "nested fragments": r"fragment \w+ on \w+ \{[^}]*\.\.\.F",
    "a fragment on an interface": r"fragment \w+ on (Node|Named) ",
    "a fragment on a union": r"fragment \w+ on (Being|Anything) ",
    "an inline fragment without condition": r"\.\.\. \{",
    "an inline fragment with a directive": r"\.\.\. on \w+ @",
    "a conditional spread": r"\.\.\.F\w+ @",
    "an alias": r"\ba: \w+",
    "an alias that is another field's name": r"\bid: (?!id)\w+",
    "@skip and @include": r"@skip\(if: \S+\) @include",
    "a literal condition": r"@include\(if: (true|false)\)",
    "a variable condition": r"@skip\(if: \$",
    "a variable's default": r"\$v\d+: \S+ = ",
    "a variable in a list": r"\[[^]]*\$v",
    "a variable in an object": r"\{[^{}]*\w+: \$v",
    "null as a literal": r": null",
    "a one-of input": r"choice: \{",
    "an object in an object": r"inner: \{",
    "two operations": r"query Other",
    "the typename of an object": r"__typename",
}


def test_generated_operations_have_everything_in_them() -> None:
    found = Counter(
        name
        for each in _sample(OperationType.QUERY, 300)
        for name, pattern in WANTED.items()
        if re.search(pattern, each.text)
    )
    assert {name for name in WANTED if found[name] < 3} == set()


async def _outcomes() -> Counter[str]:
    """What comes of a sample, by graphql-core alone."""
    seen: Counter[str] = Counter()
    for seed, each in enumerate(_sample(OperationType.QUERY, 150)):
        document = parse(each.text)
        if validate(SCHEMA, document):
            continue
        for failing, waiting in MOODS:
            world = toy.World(seed, failing, waiting)
            source = toy.root(world, "Query")
            given = execute(SCHEMA, document, source, world, each.variables, operation_name=each.name)
            result, at_once = await finished(given)
            await settled()
            seen["at once" if at_once else "later"] += 1
            seen.update(_described(result))
    return seen


def _described(result: ExecutionResult) -> Iterator[str]:
    if not result.errors:
        yield "no errors"
    elif result.data is None:
        yield "a request refused" if result.errors[0].path is None else "null at the root"
    else:
        yield "some errors" if len(result.errors) > 1 else "one error"
    for error in result.errors or ():
        if "Cannot return null" in error.message:
            yield "null for non-null"
        if error.extensions:
            yield "an error's code"
        if "broken after" in error.message:
            yield "a broken iterator"
        if "Expected Iterable" in error.message:
            yield "no list"
        if "bstract type" in error.message:
            yield "a wrong type name"
        if "Expected value of type" in error.message:
            yield "a wrong is_type_of"
        if "is even" in error.message:
            yield "a scalar that can't be sent"


def test_generated_outcomes_have_everything_in_them(runner: asyncio.Runner) -> None:
    seen = runner.run(_outcomes())
    wanted = {
        *("at once", "later", "no errors", "one error", "some errors", "null at the root", "a request refused"),
        *("null for non-null", "an error's code", "a broken iterator", "no list", "a wrong type name"),
        *("a wrong is_type_of", "a scalar that can't be sent"),
    }
    assert {name for name in wanted if seen[name] < 3} == set(), seen
