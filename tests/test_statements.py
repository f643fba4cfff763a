"""Every statement the product can make, asked of a real database, and what every table must have."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import combinations

import asyncpg
import pytest

from backend.db import boards, idea_statements, ideas
from backend.db.boards import Window
from backend.db.idea_statements import count_statement
from backend.db.statements import SQL_FOLDER, statements

pytestmark = pytest.mark.anyio

OURS = "t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND t.relname NOT LIKE 'pgqueuer%'"


def named() -> Iterator[tuple[str, str]]:
    for path in sorted((SQL_FOLDER / "queries").glob("*.sql")):
        for name, text in statements(path.stem).items():
            yield f"{path.name}: {name}", text


def board_statements() -> Iterator[tuple[str, str]]:
    for window in Window:
        yield f"page of {window}", boards.board_statement(window)
        yield f"midnight of {window}", boards.midnight_statement(window)


def page_statements() -> Iterator[tuple[str, str]]:
    """Each filter alone, each two together, and all of them."""
    names = [field.name for field in fields(ideas.IdeaFilter)] + ["in_time", "parent_group"]
    subsets = [subset for size in (0, 1, 2, len(names)) for subset in combinations(names, size)]
    yield from ((f"count {subset}", count_statement(subset)) for subset in subsets if "parent_group" not in subset)
    for order in ideas.ORDERS:
        for subset in subsets:
            for beyond in (False, True):
                for backwards in (False, True):
                    for few in (False, True):
                        late = order == "TRENDING" and not few
                        text = ideas.page_statement(
                            order, subset, beyond=beyond, backwards=backwards, few=few, limit=21, slot="odd", late=late
                        )
                        yield f"{order} {subset} {beyond=} {backwards=} {few=}", text


@pytest.mark.parametrize(("made", "at_least"), [(named, 70), (board_statements, 10), (page_statements, 1_000)])
async def test_every_statement_is_one_that_postgresql_takes(
    conn: "asyncpg.Connection[asyncpg.Record]", made: Callable[[], Iterator[tuple[str, str]]], at_least: int
) -> None:
    refused, count = [], 0
    for name, text in made():
        count += 1
        try:
            # Parsed and analysed under a name of its own, without asyncpg's look at the types.
            await conn.execute(f"PREPARE p AS {text}; DEALLOCATE p")
        except asyncpg.PostgresError as error:
            refused.append(f"{name}: {error}")
    assert refused == []
    assert count >= at_least


async def test_every_filter_has_a_condition_and_every_condition_a_filter() -> None:
    asked = {field.name for field in fields(ideas.IdeaFilter)}
    assert asked | {"in_time", "parent_group"} == set(idea_statements.CONDITIONS)


async def test_every_table_says_what_it_is_for(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    rows = await conn.fetch(
        f"SELECT t.relname FROM pg_class AS t WHERE {OURS} AND obj_description(t.oid, 'pg_class') IS NULL"  # noqa: S608
    )
    assert [row["relname"] for row in rows] == []


async def test_every_constraint_that_python_names_is_there(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Names in code that a migration renames would turn a refusal into a failure."""
    names = {row[0] for row in await conn.fetch("SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class")}
    assert {"posts_at_most_200", "ballot_imports_file_key", "notifications_once"} <= names
    assert any(name.endswith("_resident_fkey") for name in names)
