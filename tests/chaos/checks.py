"""What must agree at every quiescent moment: votes, tallies, days, the API and Redis."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import httpx2
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backend.db.boards import Board, Window, board_page
from backend.db.pool import Connection
from backend.ids import global_id
from backend.realtime.boards import board_key, state_key, text
from tests.chaos.ballots import Ballot, Row

IDEAS = """
query ($ids: [ID!]!) {
  nodes(ids: $ids) { ... on Idea { voteCount votesByStrength { strength count } } }
}
"""
COUNTED = "strength >= (SELECT vote_strength FROM municipalities AS m WHERE m.id = votes.municipality_id)"


async def rows(conn: Connection, resident_ids: Sequence[UUID]) -> dict[Ballot, Row]:
    """The ballots of some residents."""
    found = await conn.fetch(
        "SELECT resident_id, idea_id, voted, decided_at FROM votes WHERE resident_id = ANY($1::uuid[])", resident_ids
    )
    return {(row[0], row[1]): Row(row[2], row[3]) for row in found}


async def miscounts(conn: Connection) -> list[str]:
    """Tallies and days that aren't what counting the rows gives."""
    async with conn.transaction(isolation="repeatable_read"):
        votes = await conn.fetch(
            f"""
            SELECT idea_id, strength::text, {COUNTED} AS counted, (cast_at AT TIME ZONE m.time_zone)::date
            FROM votes JOIN municipalities AS m ON m.id = votes.municipality_id WHERE voted
            """  # noqa: S608 # our own words
        )
        tallies = await conn.fetch(
            "SELECT idea_id, vote_count, device_count, email_count, strong_count FROM idea_tallies"
        )
        slots = await conn.fetch(
            """
            SELECT t.idea_id, s.day, s.score FROM idea_tallies AS t JOIN municipalities AS m ON m.id = t.municipality_id
            CROSS JOIN LATERAL (VALUES (t.even_day, t.even_score), (t.odd_day, t.odd_score)) AS s (day, score)
            WHERE s.day >= (now() AT TIME ZONE m.time_zone)::date
            """
        )
        days = await conn.fetch("SELECT idea_id, day, vote_count FROM tally_days WHERE vote_count <> 0")
    counted = Counter(vote[0] for vote in votes if vote[2])
    strengths = Counter((vote[0], vote[1]) for vote in votes)
    by_day = Counter((vote[0], vote[3]) for vote in votes if vote[2])
    found = []
    for idea_id, *tally in tallies:
        real = [counted[idea_id], *(strengths[idea_id, strength] for strength in ("DEVICE", "EMAIL", "STRONG"))]
        if tally != real:
            found.append(f"{idea_id}: tally {tally}, rows {real}")
    if {(day[0], day[1]): day[2] for day in days} != dict(by_day):
        found.append("tally_days differ from the days of the votes")
    trending: Counter[tuple[UUID, date]] = Counter()
    for slot in {slot[1] for slot in slots}:
        for (idea_id, day), count in by_day.items():
            trending[idea_id, slot] += count * max(14 - (slot - day).days, 0)
    found += [
        f"{slot[0]}: TRENDING of {slot[1]} is {slot[2]}" for slot in slots if slot[2] != trending[slot[0], slot[1]]
    ]
    return found


async def api_miscounts(conn: Connection, client: httpx2.AsyncClient, url: str, ideas: Sequence[UUID]) -> list[str]:
    """Ideas whose counts in the API aren't those of PostgreSQL's rows."""
    ids = [global_id("Idea", idea) for idea in ideas]
    answer = (await client.post(url, json={"query": IDEAS, "variables": {"ids": ids}})).json()
    found = []
    for idea_id, node in zip(ideas, answer["data"]["nodes"], strict=True):
        row = await conn.fetchrow(
            f"""
            SELECT count(*) FILTER (WHERE {COUNTED}), count(*) FILTER (WHERE strength = 'DEVICE'),
              count(*) FILTER (WHERE strength = 'EMAIL'), count(*) FILTER (WHERE strength = 'STRONG')
            FROM votes WHERE idea_id = $1 AND voted
            """,  # noqa: S608 # our own words
            idea_id,
        )
        by_strength = {each["strength"]: each["count"] for each in node["votesByStrength"]}
        shown = (node["voteCount"], *(by_strength.get(strength, 0) for strength in ("DEVICE", "EMAIL", "STRONG")))
        if shown != tuple(row or ()):
            found.append(f"{idea_id}: shown {shown}, rows {row}")
    return found


async def board_differences(conn: Connection, redis: "Redis", municipality_id: UUID) -> list[str]:
    """Boards of every window and scope whose order in Redis isn't that of SQL. Raises RedisError where it is away."""
    generation = await redis.hget(state_key(municipality_id), "generation")
    if generation is None:
        return ["no boards"]
    scopes = await conn.fetch(
        """
        SELECT id FROM districts WHERE municipality_id = $1 UNION ALL SELECT id FROM themes WHERE municipality_id = $1
        UNION ALL SELECT id FROM groups WHERE municipality_id = $1
        """,
        municipality_id,
    )
    found = []
    for scope_id in (None, *(scope[0] for scope in scopes)):
        for window in Window:
            board = Board(municipality_id, scope_id, window)
            today = await conn.fetchval(
                "SELECT (now() AT TIME ZONE time_zone)::date FROM municipalities WHERE id = $1", municipality_id
            )
            truth = await board_page(conn, board, today=today, limit=10_000)
            held = await redis.zrange(board_key(board, text(generation)), 0, -1, withscores=True)
            if [(text(id), -int(score)) for id, score in map(tuple, held)] != [
                (str(each.idea_id), each.score) for each in truth
            ]:
                found.append(f"{window} of {scope_id}")
    return found


async def boards_agree(conn: Connection, redis: "Redis", municipality_id: UUID, *, seconds: float) -> float:
    """Waits until all boards in Redis are SQL's, and says how long that took. Raises AssertionError after `seconds`."""
    began, found = time.monotonic(), ["nothing compared"]
    while time.monotonic() < began + seconds:
        asked = time.monotonic()
        try:
            found = await board_differences(conn, redis, municipality_id)
        except (RedisError, OSError) as error:
            found = [repr(error)]
        if not found:
            return asked - began
        await asyncio.sleep(0.05)
    raise AssertionError(f"after {seconds} s these boards still differ from SQL: {found[:5]}")
