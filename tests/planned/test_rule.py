"""The differential proof sees what is wrong in an answer, and forgives only what graphql-core doesn't promise."""

from collections.abc import Sequence
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, build_schema, execute_sync, parse

from tests.planned.differential import Difference, Everything, agree

pytestmark = pytest.mark.anyio

SCHEMA: GraphQLSchema = build_schema(
    """
    interface Item { size: Int }
    type Box implements Item { size: Int!  name: String  sure: String!  again: String!  inner: Box  items: [Item!] }
    type Query { box: Box  item: Item  sure: Box! }
    """
)
DOCUMENT = parse("{ box { name sure again inner { sure again } } item { size } }")


def fail(message: str, code: str = "") -> Any:  # Any: a resolver
    def resolver(info: object) -> None:
        raise GraphQLError(message, extensions={"code": code} if code else None)

    return resolver


ROOT = {
    "box": {
        "name": fail("no name", "NAMELESS"),
        "sure": "s",
        "again": "a",
        "inner": {"sure": fail("not sure"), "again": fail("not again")},
    },
    "item": {"__typename": "Box", "size": fail("no size")},
}
NULLED = {"box": {**ROOT["box"], "again": fail("no more")}, "item": None}


async def judge(
    root: Any,  # Any: a tree
    *,
    data: object = ...,
    errors: Sequence[GraphQLError] | None = None,
    drop: str = "",
) -> None:
    """Compares graphql-core's answer with the same answer, changed."""
    expected = execute_sync(SCHEMA, DOCUMENT, root)
    kept = [error for error in expected.errors or () if not drop or drop not in error.message]
    found = ExecutionResult(
        expected.data if data is ... else data,  # type: ignore[arg-type] # wrong on purpose
        [*kept, *(errors or ())],
    )

    async def everything() -> Everything:
        return await Everything.run(SCHEMA, DOCUMENT, root, None, {}, None)

    await agree(DOCUMENT, expected, found, everything)


def error(path: str, message: str, code: str = "") -> GraphQLError:
    """An error of a field, at its place in the document."""
    keys = [int(key) if key.isdigit() else key for key in path.split(".")]
    first = execute_sync(SCHEMA, DOCUMENT, ROOT).errors or []
    known = {tuple(each.path or ()): each.nodes for each in (*first, *_all())}
    nodes = known.get(tuple(keys))
    raised = GraphQLError(message, extensions={"code": code} if code else None)
    return GraphQLError(message, nodes, path=keys, original_error=raised, extensions=raised.extensions)


def _all() -> list[GraphQLError]:
    found: list[GraphQLError] = []
    for root in (ROOT, NULLED):
        executor = Everything.build(SCHEMA, DOCUMENT, root)
        assert isinstance(executor, Everything)
        executor.execute_operation()
        found += executor.collected_errors.errors
    return found


async def test_the_same_answer_passes() -> None:
    await judge(ROOT)
    await judge(NULLED)


async def test_other_data_is_seen() -> None:
    with pytest.raises(Difference, match="data differ"):
        await judge(ROOT, data={"box": {"name": None, "sure": "S", "again": "a", "inner": None}, "item": None})


async def test_another_order_of_keys_is_seen() -> None:
    with pytest.raises(Difference, match="data differ"):
        await judge(ROOT, data={"item": None, "box": {"name": None, "sure": "s", "again": "a", "inner": None}})


async def test_a_missing_error_is_seen() -> None:
    with pytest.raises(Difference, match="errors differ"):
        await judge(ROOT, drop="no name")


async def test_an_error_where_nothing_is_null_is_seen() -> None:
    with pytest.raises(Difference, match="which is not null"):
        await judge(ROOT, errors=[error("box.sure", "made up")])


async def test_an_error_where_nothing_was_asked_is_seen() -> None:
    with pytest.raises(Difference, match="there is nothing at"):
        await judge(ROOT, errors=[error("box.other", "made up")])


async def test_an_error_reported_twice_is_seen() -> None:
    with pytest.raises(Difference, match="reported twice"):
        await judge(ROOT, errors=[error("box.name", "no name", "NAMELESS")])


async def test_another_message_is_seen() -> None:
    with pytest.raises(Difference, match=r"errors on .* differ"):
        await judge(ROOT, drop="no name", errors=[error("box.name", "nameless", "NAMELESS")])


async def test_another_code_is_seen() -> None:
    with pytest.raises(Difference, match=r"errors on .* differ"):
        await judge(ROOT, drop="no name", errors=[error("box.name", "no name", "OTHER")])


async def test_another_cause_of_the_same_null_is_forgiven() -> None:
    await judge(ROOT, drop="not sure", errors=[error("box.inner.again", "not again")])
    await judge(ROOT, errors=[error("box.inner.again", "not again")])


async def test_a_cause_that_can_not_be_is_seen() -> None:
    with pytest.raises(Difference, match=r"errors on .* differ"):
        await judge(ROOT, drop="not sure", errors=[error("box.inner.again", "another")])


async def test_an_error_under_a_nulled_ancestor_counts_for_nothing() -> None:
    await judge(NULLED, drop="no name")
    await judge(NULLED, drop="not sure")


async def test_an_error_under_a_nulled_ancestor_does_not_stand_for_its_cause() -> None:
    with pytest.raises(Difference, match="errors differ"):
        await judge(NULLED, drop="no more")


async def test_what_is_nullable_is_told_by_the_object_not_the_interface() -> None:
    """`Item.size` may be null, `Box.size` may not: the error falls on the item, and counts."""
    with pytest.raises(Difference, match="errors differ"):
        await judge(ROOT, drop="no size")
