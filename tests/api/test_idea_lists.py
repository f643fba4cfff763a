"""Lists of ideas against a plain model of them: every order, filter, page and direction."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from backend.db import idea_statements, migrate, trending
from backend.db.ideas import ORDERS
from backend.db.pool import open_pool
from backend.db.votes import recount
from backend.ids import global_id
from backend.jobs.trending import prepare
from backend.rules.search import search_words
from tests.conftest import Api

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what variables hold
IDEAS = 120
STATUSES = ("OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED", "WITHDRAWN", "MERGED")
WORDS = ("penkki", "puisto", "katu", "valaistus", "ranta", "metsä", "bänk", "park", "kaunis", "uusi")
PAGE = """query ($filter: IdeaFilter, $orderBy: IdeaOrder!, $first: Int, $after: String, $last: Int, $before: String) {
  ideas(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""
OFFICES = "SELECT id FROM {} WHERE municipality_id = $1 ORDER BY position"
UNPREPARED = """SELECT count(*) FROM idea_tallies WHERE municipality_id = $1
AND (even_day, odd_day) IS DISTINCT FROM (even_day($2::date), odd_day($2::date))"""
WRONG_SCORES = """
SELECT count(*) FROM idea_tallies AS t CROSS JOIN LATERAL (
  SELECT coalesce(sum(vote_count * greatest(14 - (t.even_day - day), 0)) FILTER (WHERE day <= t.even_day), 0) AS even,
    coalesce(sum(vote_count * greatest(14 - (t.odd_day - day), 0)) FILTER (WHERE day <= t.odd_day), 0) AS odd
  FROM tally_days AS d WHERE d.municipality_id = t.municipality_id AND d.idea_id = t.idea_id
) AS s
WHERE t.municipality_id = $1 AND (t.even_score, t.odd_score) IS DISTINCT FROM (s.even, s.odd)
  AND (t.even_day, t.odd_day) = (even_day($2::date), odd_day($2::date))"""
# What a night does: everything becomes a day older, and the slots change their parity with the day.
NIGHT = """
UPDATE votes SET cast_at = cast_at - interval '1 day', decided_at = decided_at - interval '1 day';
UPDATE tally_days SET day = day - 10000;
UPDATE tally_days SET day = day + 9999, changed_on = changed_on - 1;
UPDATE idea_tallies SET changed_on = changed_on - 1,
  even_day = odd_day - 1, even_score = odd_score, odd_day = even_day - 1, odd_score = even_score;
"""


@pytest.fixture(params=[0, 10_000], ids=["walked", "sorted"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both ways to read a page, whatever the number of ideas."""
    monkeypatch.setattr(idea_statements, "FEW", request.param)
    idea_statements.forget()
    yield
    idea_statements.forget()


def today(api: Api) -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(api.catalogue.time_zone)).date()


async def fill(api: Api, *, seed: int = 1) -> None:
    """Ideas of every kind with votes of some weeks; many have as many votes as others."""
    draw, here = random.Random(seed), api.catalogue.id
    districts, themes, departments = [
        [row[0] for row in await api.conn.fetch(OFFICES.format(table), here)]
        for table in ("districts", "themes", "departments")
    ]
    posts = [row[0] for row in await api.conn.fetch("SELECT post_id FROM officials WHERE municipality_id = $1", here)]
    residents = [
        row[0]
        for row in await api.conn.fetch(
            "INSERT INTO residents (municipality_id, display_name, locale, strength) SELECT $1, 'R', 'fi',"
            " (ARRAY['DEVICE', 'EMAIL', 'STRONG']::identity_strength[])[1 + n % 3]"
            " FROM generate_series(1, 12) AS n RETURNING id",
            here,
        )
    ]
    groups = [
        row[0]
        for row in await api.conn.fetch(
            "INSERT INTO groups (municipality_id, display_name, kind, description, approves_members)"
            " SELECT $1, 'G', 'INFORMAL', '', false FROM generate_series(1, 3) RETURNING id",
            here,
        )
    ]
    now, first = datetime.now(UTC).replace(microsecond=0), None
    for number in range(1, IDEAS + 1):
        status = "OPEN" if number == 1 else draw.choice(STATUSES)
        hidden = number > 1 and draw.random() < 0.05
        due = now + timedelta(days=draw.choice((-3, -1, 1, 5)))
        idea = await api.conn.fetchval(
            "INSERT INTO ideas (municipality_id, id, number, title, body, locale, status, author_id, theme_id,"
            " district_id, department_id, post_id, merged_into_id, reaction_due_at, answer_due_at, first_response_at,"
            " answered_at, hidden_at, hidden_reason, placed_on, was_theme_id)"
            " VALUES ($1, uuidv7(make_interval(secs => $2::integer - 1000)), $2, $3, $4, 'fi', $5, $6, $7, $8, $9, $10,"
            " $11, $12, $13, $14, $15, $16, $17, current_date, $7) RETURNING id",
            here, number, " ".join(draw.choices(WORDS, k=3)).capitalize(), draw.choice(WORDS), status,
            draw.choice(residents), draw.choice(themes[:4]), draw.choice([None, *districts[:4]]),
            draw.choice(departments[:3]), draw.choice(posts[:3]), first if status == "MERGED" else None,
            due, due + timedelta(days=2), draw.choice((None, now)), draw.choice((None, None, now)),
            now if hidden else None, "No." if hidden else None,
        )  # fmt: skip
        first = first or idea
        await api.conn.execute(
            "INSERT INTO idea_tallies (municipality_id, idea_id, changed_on) VALUES ($1, $2, current_date)", here, idea
        )
        for position, group in enumerate(draw.sample(groups, draw.choice((0, 0, 1, 2))), start=1):
            await api.conn.execute("INSERT INTO idea_groups VALUES ($1, $2, $3, $4)", here, idea, group, position)
        for resident in draw.sample(residents, draw.choice((0, 0, 1, 2, 3))):
            cast_at = now - timedelta(days=draw.choice((0, 0, 1, 2, 12, 13, 14, 15)))
            await api.conn.execute(
                "INSERT INTO votes (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at,"
                " decided_at)"
                " SELECT $1, $2, $3, $4, strength, 'PHONE', $5, $5 FROM residents WHERE id = $3",
                here, idea, resident, draw.random() > 0.2, cast_at,
            )  # fmt: skip
    await recount(api.conn, municipality_id=here)


async def expected(api: Api, which: Json, order: str) -> list[str]:
    """The whole list by the contract, out of the votes and the ideas themselves."""
    here, day = api.catalogue.id, today(api)
    ideas = await api.conn.fetch(
        "SELECT i.*, ARRAY(SELECT group_id FROM idea_groups WHERE idea_id = i.id) AS groups,"
        " ARRAY(SELECT (v.cast_at AT TIME ZONE m.time_zone)::date FROM votes AS v"
        "   WHERE v.idea_id = i.id AND v.voted AND v.strength >= m.vote_strength) AS days,"
        " i.search @@ to_tsquery('simple', $2) OR i.search @@ to_tsquery('finnish', $2)"
        "   OR i.search @@ to_tsquery('swedish', $2) AS found"
        " FROM ideas AS i JOIN municipalities AS m ON m.id = i.municipality_id WHERE i.municipality_id = $1",
        here,
        search_words(which.get("search", "")),
    )

    def passes(row: asyncpg.Record) -> bool:
        held = {global_id("Official", o.id) for o in api.catalogue.officials.values() if o.post_id == row["post_id"]}
        return (
            row["status"] not in {"WITHDRAWN", "MERGED"}
            and row["hidden_at"] is None
            and which.get("districtId") in {None, row["district_id"] and global_id("District", row["district_id"])}
            and which.get("themeId") in {None, global_id("Theme", row["theme_id"])}
            and which.get("departmentId") in {None, global_id("Department", row["department_id"])}
            and ("responsibleId" not in which or which["responsibleId"] in held)
            and ("groupId" not in which or which["groupId"] in {global_id("Group", id) for id in row["groups"]})
            and ("status" not in which or row["status"] in which["status"])
            and ("overdue" not in which or which["overdue"] == (row["due_at"] < datetime.now(UTC)))
            and ("search" not in which or row["found"])
        )

    keys = {
        "NEWEST": lambda row: -row["id"].int,
        "OLDEST": lambda row: row["id"].int,
        "MOST_VOTED": lambda row: (-len(row["days"]), row["id"].int),
        "TRENDING": lambda row: (-sum(max(14 - (day - cast).days, 0) for cast in row["days"]), row["id"].int),
        "DUE_FIRST": lambda row: (row["due_at"], row["id"].int),
    }
    return [global_id("Idea", row["id"]) for row in sorted(filter(passes, ideas), key=keys[order])]


async def walked(api: Api, which: Json, order: str, *, size: int, backwards: bool = False) -> list[str]:
    """The whole list, page by page, for somebody signed in, who gets no kept answer."""
    token = await api.token()
    found: list[str] = []
    page: Json = {"filter": which, "orderBy": order, "last" if backwards else "first": size}
    while True:
        ideas = (await api.data(PAGE, page, token=token))["ideas"]
        ids, info = [node["id"] for node in ideas["nodes"]], ideas["pageInfo"]
        found = [*ids, *found] if backwards else [*found, *ids]
        if not info["hasPreviousPage" if backwards else "hasNextPage"]:
            return found
        page |= {"before": info["startCursor"]} if backwards else {"after": info["endCursor"]}


async def kinds_of_filter(api: Api) -> list[Json]:
    here = api.catalogue.id

    async def one(statement: str, kind: str) -> str:
        return global_id(kind, (await api.conn.fetchval(statement, here)))

    district = await one(
        "SELECT district_id FROM ideas WHERE municipality_id = $1 AND number > 9 AND district_id IS NOT NULL",
        "District",
    )
    theme = await one("SELECT theme_id FROM ideas WHERE municipality_id = $1", "Theme")
    post: UUID = await api.conn.fetchval("SELECT post_id FROM ideas WHERE municipality_id = $1 LIMIT 1", here)
    return [
        {},
        {"districtId": district},
        {"themeId": theme},
        {"departmentId": await one("SELECT department_id FROM ideas WHERE municipality_id = $1", "Department")},
        {"responsibleId": global_id("Official", api.catalogue.holder(post).id)},
        {"groupId": await one("SELECT group_id FROM idea_groups WHERE municipality_id = $1", "Group")},
        {"status": ["OPEN", "DONE", "WITHDRAWN"]},
        {"status": ["MERGED"]},
        {"status": []},
        {"overdue": True},
        {"overdue": False},
        {"search": "penkki"},
        {"search": "pu"},
        {"search": "ei tätä"},
        {"districtId": district, "themeId": theme},
        {"districtId": district, "search": "uusi", "overdue": True},
    ]


@pytest.mark.usefixtures("way")
async def test_every_filter_in_every_order_gives_the_same_pages_as_the_contract(api: Api) -> None:
    await fill(api)
    for which, order in product(await kinds_of_filter(api), ORDERS):
        whole = await expected(api, which, order)
        assert await walked(api, which, order, size=17) == whole, (which, order)
        assert await walked(api, which, order, size=40, backwards=True) == whole, (which, order)
    assert len(await expected(api, {}, "TRENDING")) > 60


@pytest.mark.usefixtures("way")
async def test_ideas_that_were_not_prepared_stand_where_they_belong(api: Api) -> None:
    await fill(api, seed=2)
    for change in (
        "even_day = even_day - 2, even_score = 7, odd_day = odd_day - 2, odd_score = 7",
        "even_day = even_day + 4, odd_day = odd_day + 4",
    ):
        await api.conn.execute(
            f"UPDATE idea_tallies SET {change} WHERE idea_id IN (SELECT id FROM ideas WHERE number % 4 = 1)"  # noqa: S608 # our own words
        )
        whole = await expected(api, {}, "TRENDING")
        assert await walked(api, {}, "TRENDING", size=9) == whole
        assert await walked(api, {}, "TRENDING", size=9, backwards=True) == whole
        await api.conn.execute(
            "UPDATE idea_tallies SET even_day = even_day(current_date - 400), odd_day = odd_day(current_date - 400)"
        )
        assert await walked(api, {}, "TRENDING", size=50) == whole


async def test_at_midnight_the_prepared_scores_of_tomorrow_become_those_of_today(api: Api, database_url: str) -> None:
    await fill(api)
    pool = await open_pool(database_url, size=2)
    for _ in range(3):
        assert await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == 0
        await api.conn.execute(NIGHT)
        parity = "even" if today(api).toordinal() % 2 == 0 else "odd"
        late = f"SELECT count(*) FROM idea_tallies WHERE municipality_id = $1 AND {parity}_day <> $2"  # noqa: S608 # one of two words
        assert await api.conn.fetchval(late, api.catalogue.id, today(api)) == 0
        assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")
        await prepare(pool)()
        assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")
        assert await api.conn.fetchval(WRONG_SCORES, api.catalogue.id, today(api)) == 0
    await pool.close()


async def test_votes_of_every_day_and_strength_move_the_scores(api: Api) -> None:
    await fill(api)
    await api.conn.execute("UPDATE municipalities SET vote_strength = 'EMAIL'")
    await recount(api.conn, municipality_id=api.catalogue.id)
    ideas = [
        global_id("Idea", row[0])
        for row in await api.conn.fetch("SELECT id FROM ideas WHERE status = 'OPEN' AND hidden_at IS NULL LIMIT 6")
    ]
    callers = [await api.token(strength=strength) for strength in ("DEVICE", "EMAIL", "STRONG")]
    for idea, caller in product(ideas, callers):
        await api.set_vote(idea, token=caller)
    # Some were cast days ago; taken back and cast again today they count for the day they were first cast on.
    await api.conn.execute(
        "UPDATE votes SET cast_at = cast_at - interval '5 days', decided_at = decided_at - interval '5 days'"
        " WHERE cast_at > now() - interval '1 hour'"
    )
    await recount(api.conn, municipality_id=api.catalogue.id)
    for idea, caller in product(ideas[:4], callers):
        await api.set_vote(idea, token=caller, voted=False)
        assert await api.conn.fetchval(WRONG_SCORES, api.catalogue.id, today(api)) == 0
    for idea, caller in product(ideas[:2], callers):
        await api.set_vote(idea, token=caller)
    assert await api.conn.fetchval(WRONG_SCORES, api.catalogue.id, today(api)) == 0
    assert await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == 0
    assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")


async def test_a_new_idea_is_prepared_from_the_start(api: Api) -> None:
    idea = await api.idea()
    assert await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == 0
    await api.set_vote(idea, token=await api.token())
    assert await api.conn.fetchval("SELECT ARRAY[even_score, odd_score] FROM idea_tallies WHERE vote_count = 1") in (
        [14, 13],
        [13, 14],
    )


async def test_the_preparation_may_be_killed_anywhere_and_run_twice(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(api)
    await api.conn.execute(
        "UPDATE idea_tallies SET even_day = '1970-01-01', odd_day = '1970-01-01', even_score = 0, odd_score = 0"
    )
    monkeypatch.setattr(trending, "BATCH", 7)
    pool = await open_pool(database_url, size=2)
    killed = asyncio.ensure_future(prepare(pool)())
    while await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == IDEAS:  # noqa: ASYNC110 # nothing tells when
        await asyncio.sleep(0.001)
    killed.cancel()
    await asyncio.wait([killed])
    assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")
    await asyncio.gather(prepare(pool)(), prepare(pool)())
    await prepare(pool)()
    assert await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == 0
    assert await api.conn.fetchval(WRONG_SCORES, api.catalogue.id, today(api)) == 0
    before = await api.conn.fetch("SELECT idea_id, xmin FROM idea_tallies ORDER BY 1")
    await prepare(pool)()
    assert await api.conn.fetch("SELECT idea_id, xmin FROM idea_tallies ORDER BY 1") == before
    await pool.close()


async def test_a_database_with_data_gets_its_scores(api: Api, database_url: str) -> None:
    await fill(api)
    added = ["0002_trending_scores", "0003_trending_even", "0004_trending_odd"]
    await api.conn.execute(
        "ALTER TABLE idea_tallies DROP COLUMN even_day, DROP COLUMN even_score, DROP COLUMN odd_day,"
        " DROP COLUMN odd_score;"
        "DROP FUNCTION even_day; DROP FUNCTION odd_day;"
        "DELETE FROM schema_migrations WHERE version ~ '^000[234]'"
    )
    assert await migrate.migrate(api.conn) == added
    assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")
    pool = await open_pool(database_url, size=2)
    await prepare(pool)()
    await pool.close()
    assert await api.conn.fetchval(UNPREPARED, api.catalogue.id, today(api)) == 0
    assert await walked(api, {}, "TRENDING", size=50) == await expected(api, {}, "TRENDING")
