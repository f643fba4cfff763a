"""Boards are the same from Redis and from PostgreSQL, in every window, scope and place."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import redis

from backend.db.boards import Board, Window, board_page
from backend.ids import global_id, parse_id
from backend.realtime.boards import Boards
from tests.conftest import Api, Json

pytestmark = pytest.mark.anyio

PAGE = """
query ($scope: LeaderboardScope, $window: LeaderboardWindow!, $first: Int, $after: String) {
  leaderboard(scope: $scope, window: $window, first: $first, after: $after) {
    nodes { rank score previousRank idea { id } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def world(api: Api) -> list[UUID]:
    """Twelve ideas over two themes, with votes of the last 40 days, ties included."""
    tokens = [await api.token() for _ in range(9)]
    themes = [global_id("Theme", theme) for theme in itertools.islice(api.catalogue.themes, 2)]
    ids = []
    for n in range(12):
        idea_id = await api.idea(title=f"Idea {n}", themeId=themes[n % 2])
        ids.append(parse_id(idea_id)[1])
        for token in tokens[: n % 5 + n // 6]:
            await api.set_vote(idea_id, token=token)
    # Votes of long ago can't be cast through the API: move some, and count anew.
    await api.conn.execute(
        """
        UPDATE votes SET cast_at = cast_at - interval '1 day' * (('x' || right(idea_id::text, 4))::bit(16)::int % 40)
        """
    )
    from backend.db.votes import recount

    await recount(api.conn, municipality_id=api.catalogue.id)
    return ids


async def pages(api: Api, window: Window, scope: Json | None, size: int) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    after = None
    while True:
        variables = {"scope": scope, "window": window, "first": size, "after": after}
        page = (await api.data(PAGE, variables))["leaderboard"]
        found += [(node["rank"], node["score"], node["idea"]["id"]) for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


@pytest.mark.parametrize("source", ["redis", "postgresql"])
async def test_a11_every_board_is_what_counting_the_votes_gives(api: Api, source: str) -> None:
    ids = await world(api)
    await api.boards_settled()
    services = api.app.state.pipeline.gate.services
    if source == "postgresql":
        services.leaderboards._avoid_until = float("inf")
    theme = next(iter(api.catalogue.themes))
    today = datetime.now(UTC).astimezone().date()
    for window, scope_id in itertools.product(Window, (None, theme)):
        rows = await api.conn.fetch(
            """
            SELECT i.id, i.theme_id, (v.cast_at AT TIME ZONE 'Europe/Helsinki')::date AS day
            FROM ideas AS i LEFT JOIN votes AS v ON v.idea_id = i.id AND v.voted
            """
        )
        today = await api.conn.fetchval("SELECT (now() AT TIME ZONE 'Europe/Helsinki')::date")
        scores = dict.fromkeys((row["id"] for row in rows if scope_id in {None, row["theme_id"]}), 0)
        for row in rows:
            if row["id"] in scores and row["day"]:
                age = (today - row["day"]).days
                scores[row["id"]] += {
                    Window.ALL_TIME: 1,
                    Window.MONTH: int(age < 30),
                    Window.WEEK: int(age < 7),
                    Window.DAY: int(age < 1),
                    Window.TRENDING: max(14 - age, 0),
                }[window]
        if window in {Window.MONTH, Window.WEEK, Window.DAY}:
            scores = {idea: score for idea, score in scores.items() if score}
        ranking = sorted(scores.items(), key=lambda item: (-item[1], ids.index(item[0])))
        expected = [(n, score, global_id("Idea", idea)) for n, (idea, score) in enumerate(ranking, start=1)]
        scope = {"themeId": global_id("Theme", scope_id)} if scope_id else None
        for size in (5, 100):
            assert await pages(api, window, scope, size) == expected


@pytest.mark.parametrize("source", ["redis", "postgresql"])
async def test_previous_rank_is_the_rank_at_the_last_midnight(api: Api, source: str) -> None:
    token, other = await api.token(), await api.token()
    first, second, third = [await api.idea(title=f"Idea {n}") for n in range(3)]
    await api.set_vote(first, token=token)
    # Everything so far was yesterday.
    await api.conn.execute("UPDATE votes SET cast_at = cast_at - interval '1 day'")
    await api.conn.execute("UPDATE idea_tallies SET changed_on = changed_on - 1")
    await api.conn.execute("UPDATE tally_days SET changed_on = changed_on - 1, day = day - 1")
    await api.conn.execute("UPDATE ideas SET placed_on = placed_on - 1")
    # Behind the boards' back: those of midnight, which don't change, are to be made anew.
    services = api.app.state.pipeline.gate.services
    boards = Boards(services.redis)
    await boards.redis.delete(f"{{{api.catalogue.id}}}:boards")
    await api.set_vote(second, token=token)
    await api.set_vote(second, token=other)
    new = await api.idea(title="Tänään")
    await api.boards_settled()
    then = Board(api.catalogue.id, None, Window.ALL_TIME, at_midnight=True)
    today = await api.conn.fetchval("SELECT (now() AT TIME ZONE 'Europe/Helsinki')::date")
    ids = [parse_id(id)[1] for id in (first, new)]
    if source == "postgresql":
        services.leaderboards._avoid_until = float("inf")
    else:
        while await boards.ranks(then, today=today, idea_ids=ids) != {ids[0]: 1, ids[1]: None}:  # noqa: ASYNC110 # soon
            await asyncio.sleep(0.05)
    nodes = (await api.data(PAGE, {"window": "ALL_TIME"}))["leaderboard"]["nodes"]
    assert [(node["idea"]["id"], node["previousRank"]) for node in nodes] == [
        (second, 2),
        (first, 1),
        (third, 3),
        (new, None),
    ]
    week = (await api.data(PAGE, {"window": "WEEK"}))["leaderboard"]["nodes"]
    assert [(node["idea"]["id"], node["previousRank"]) for node in week] == [(second, None), (first, 1)]


async def test_a_hidden_idea_leaves_the_board_at_once(api: Api) -> None:
    token = await api.token()
    first, second = await api.idea(title="Piiloon"), await api.idea(title="Jää")
    await api.set_vote(first, token=token)
    await api.boards_settled()
    moderator = await api.token("MODERATOR")
    await api.mutate("hideIdea", {"ideaId": first, "reason": "Sääntö 3"}, "idea { id }", token=moderator)
    # The author and the moderator may see it, but boards show what is listed.
    for reader in ("", moderator):
        nodes = (await api.data(PAGE, {"window": "ALL_TIME"}, token=reader))["leaderboard"]["nodes"]
        assert [(node["rank"], node["idea"]["id"]) for node in nodes] == [(1, second)]


async def test_f1_boards_come_back_after_redis_lost_everything(api: Api, redis_url: str) -> None:
    token = await api.token()
    idea_id = await api.idea()
    await api.set_vote(idea_id, token=token)
    await api.boards_settled()
    redis.Redis.from_url(redis_url).flushall()
    nodes = (await api.data(PAGE, {"window": "DAY"}))["leaderboard"]["nodes"]
    assert [(node["score"], node["idea"]["id"]) for node in nodes] == [(1, idea_id)]
    await api.boards_settled()


async def test_a_board_that_is_too_old_is_not_believed(api: Api, redis_url: str) -> None:
    boards = Boards(api.app.state.pipeline.gate.services.redis)
    await api.idea()
    await api.boards_settled()
    board = Board(api.catalogue.id, None, Window.ALL_TIME)
    today = await api.conn.fetchval("SELECT (now() AT TIME ZONE 'Europe/Helsinki')::date")
    assert await boards.page(board, today=today, limit=5) == await board_page(api.conn, board, today=today, limit=5)
    store = redis.Redis.from_url(redis_url)
    key = f"{{{api.catalogue.id}}}:boards"
    store.hset(key, "as_of", int(store.hget(key, "as_of") or 0) - 60_000)
    assert await boards.page(board, today=today - timedelta(days=1), limit=5) is None
