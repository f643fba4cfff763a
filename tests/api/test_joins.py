"""Two accounts of one person become one: everything of both, and never two votes on an idea."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.commands import erase_accounts, set_vote_strength
from backend.db.joins import MOVES
from backend.db.votes import VoteStatement, set_votes
from backend.demo.load import SLUG
from backend.errors import Unavailable
from backend.ids import global_id, parse_id
from backend.jobs.join_again import join_again
from tests.api.test_sign_in import device, email, person, signed_in, whose
from tests.chaos.checks import miscounts
from tests.conftest import Api

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
REFERENCES = """
SELECT conrelid::regclass || '.' || a.attname
FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
WHERE c.confrelid = 'residents'::regclass AND c.contype = 'f' AND a.attname <> 'municipality_id'
"""
STANDING_TWICE = """
SELECT idea_id FROM votes AS v JOIN residents AS r ON r.municipality_id = v.municipality_id AND r.id = v.resident_id
WHERE r.id = ANY($1::uuid[]) GROUP BY idea_id HAVING count(*) > 1
"""


async def test_every_reference_to_a_resident_is_moved_or_known_to_stay(api: Api) -> None:
    """A new table that names residents fails this: `db/joins.py` must say what becomes of it."""
    assert {row[0] for row in await api.conn.fetch(REFERENCES)} == MOVES.keys()


async def two_of_one(api: Api) -> tuple[tuple[str, UUID], tuple[str, UUID]]:
    """A strong account and a device that is the same person's, not yet joined."""
    (token, kept), other = await device(api), await device(api)
    assert whose(await signed_in(api, person("aino"), caller=kept)) == kept
    return (token, kept), other


async def test_everything_of_a_joined_account_is_the_survivors(api: Api) -> None:
    (token, kept), (old_token, gone) = await two_of_one(api)
    key, conn = str(uuid4()), api.conn
    idea = await api.idea(token=old_token, idempotencyKey=key)
    await api.mutate("setFollow", {"subjectId": idea, "following": True}, "__typename", token=token)
    for resident in (gone, kept):
        await conn.execute(
            """
            INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id, read_at)
            SELECT $1, $2, $3, 'STATUS_CHANGED', $4, CASE WHEN $5 THEN now() END
            """,
            api.catalogue.id,
            resident,
            UUID(int=5),
            parse_id(idea)[1],
            resident == gone,
        )
    first = await conn.fetchval("SELECT followed_at FROM follows WHERE resident_id = $1", gone)
    assert whose(await signed_in(api, person("aino"), caller=gone)) == kept

    told = await api.data(AUTHOR, {"id": idea}, token=token)
    assert told["node"]["author"] == {"id": global_id("Resident", kept)}
    assert [tuple(row) for row in await conn.fetch("SELECT resident_id, followed_at FROM follows")] == [(kept, first)]
    [(owner, read_at)] = await conn.fetch("SELECT resident_id, read_at FROM notifications")
    assert owner == kept and read_at is not None
    assert (await api.idea(token=token, idempotencyKey=key)) == idea
    # Nothing is left but where it went.
    assert (await api.data(AUTHOR, {"id": global_id("Resident", gone)}))["node"] is None
    assert "Asukas" not in await conn.fetchval("SELECT display_name FROM residents WHERE id = $1", gone)
    left = [ref for ref, how in MOVES.items() if how and await conn.fetchval(COUNT.format(*ref.split(".")), gone)]
    assert left == []
    await api.revocations_told()
    assert await api.code(AUTHOR, {"id": idea}, token=old_token) == "UNAUTHENTICATED"


AUTHOR = "query ($id: ID!) { node(id: $id) { id ... on Idea { author { id } } } }"
COUNT = "SELECT count(*) FROM {} WHERE {} = $1"


async def test_the_joined_accounts_other_devices_go_on_as_the_survivor(api: Api) -> None:
    asked = {"locale": "fi", "idempotencyKey": str(uuid4())}
    tablet = await api.mutate("registerDevice", asked, "refreshToken viewer { resident { id } }")
    gone = parse_id(tablet["viewer"]["resident"]["id"])[1]
    kept = whose(await signed_in(api, person("aino")))
    assert whose(await signed_in(api, person("aino"), caller=gone)) == kept
    on = await api.mutate(
        "refreshSession", {"refreshToken": tablet["refreshToken"]}, "accessToken viewer { resident { id } strength }"
    )
    assert on["viewer"] == {"resident": {"id": global_id("Resident", kept)}, "strength": "STRONG"}
    assert (await api.data("{ viewer { strength } }", token=on["accessToken"]))["viewer"] == {"strength": "STRONG"}


async def test_nobody_is_told_that_a_person_will_be_erased_where_only_what_is_left_of_a_join_would(api: Api) -> None:
    (_, kept), (_, gone) = await two_of_one(api)
    await signed_in(api, person("aino"), caller=gone)
    asked = await erase_accounts(api.settings, slug=SLUG, residents=[str(gone)])
    assert asked == [f"{gone} is nobody, or has been erased"]
    jobs = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'erase'"
    assert await api.conn.fetchval(jobs) == 0
    assert await erase_accounts(api.settings, slug=SLUG, residents=[str(kept)])
    assert await api.conn.fetchval(jobs) == 1


@pytest.mark.parametrize("gone_role", ["PENDING", "MEMBER", "CONTACT"])
@pytest.mark.parametrize("kept_role", ["", "PENDING", "MEMBER", "CONTACT"])
async def test_the_higher_role_in_a_group_stays_and_members_are_counted_once(
    api: Api, gone_role: str, kept_role: str
) -> None:
    (_, kept), (_, gone) = await two_of_one(api)
    asked = {"displayName": "Puistoväki", "kind": "INFORMAL", "idempotencyKey": str(uuid4())}
    made = await api.mutate("createGroup", asked, "group { id }", token=await api.token())
    group = parse_id(made["group"]["id"])[1]
    for resident, role in ((gone, gone_role), (kept, kept_role)):
        if role:
            await api.conn.execute(
                "INSERT INTO group_members SELECT municipality_id, id, $2, $3::text::group_role FROM groups"
                " WHERE id = $1",
                group,
                resident,
                role,
            )
    await api.conn.execute(
        "UPDATE groups SET member_count = (SELECT count(*) FROM group_members WHERE role <> 'PENDING')"
    )
    await signed_in(api, person("aino"), caller=gone)
    order = ["", "PENDING", "MEMBER", "CONTACT"]
    role = await api.conn.fetchval("SELECT role::text FROM group_members WHERE resident_id = $1", kept)
    assert role == max(gone_role, kept_role, key=order.index)
    counted = await api.conn.fetchval("SELECT count(*) FROM group_members WHERE role <> 'PENDING'")
    assert await api.conn.fetchval("SELECT member_count FROM groups") == counted


async def test_who_has_rights_goes_on_and_rights_that_move_are_audited(api: Api) -> None:
    staff = parse_id((await api.data(ME, token=await api.token("MODERATOR")))["viewer"]["resident"]["id"])[1]
    strong = whose(await signed_in(api, person("aino")))
    assert whose(await signed_in(api, person("aino"), caller=staff)) == staff
    assert await api.conn.fetchval("SELECT joined_into_id FROM residents WHERE id = $1", strong) == staff
    other = parse_id((await api.data(ME, token=await api.token("ADMINISTRATOR")))["viewer"]["resident"]["id"])[1]
    payload = await signed_in(api, person("aino"), caller=other)
    assert payload.viewer and set(payload.viewer.row.roles) == {"MODERATOR", "ADMINISTRATOR"}
    [act] = await api.conn.fetch("SELECT act, details FROM audit_entries WHERE act = 'ROLES_JOINED'")
    assert '"ADMINISTRATOR"' in act["details"]


ME = "{ viewer { resident { id } } }"


async def test_of_two_statements_the_newest_decides_and_the_first_casting_stays(api: Api) -> None:
    (token, kept), (old_token, gone) = await two_of_one(api)
    ideas, now = [await api.idea() for _ in range(4)], datetime.now(UTC)
    for number, (kept_says, gone_says, gone_later) in enumerate(
        [(True, False, True), (True, False, False), (False, True, True), (True, True, True)]
    ):
        for who, says, later in ((token, kept_says, not gone_later), (old_token, gone_says, gone_later)):
            at = (now - timedelta(hours=1 if later else 2)).isoformat()
            before = (now - timedelta(hours=3)).isoformat()
            await api.set_vote(ideas[number], token=who, decidedAt=before)
            await api.set_vote(ideas[number], token=who, voted=says, decidedAt=at)
    casts = await api.conn.fetch("SELECT idea_id, min(cast_at) FROM votes GROUP BY 1")
    first = {row[0]: row[1] for row in casts}
    await signed_in(api, person("aino"), caller=gone)
    rows = {row["idea_id"]: row for row in await api.conn.fetch("SELECT * FROM votes")}
    assert len(rows) == 4
    assert [rows[parse_id(idea)[1]]["voted"] for idea in ideas] == [False, True, True, True]
    assert {id: row["cast_at"] for id, row in rows.items()} == first
    assert {row["strength"] for row in rows.values()} == {"STRONG"} and {
        row["resident_id"] for row in rows.values()
    } == {kept}
    assert await miscounts(api.conn) == []


async def test_a_day_moves_with_the_vote_that_was_cast_on_it(api: Api) -> None:
    (token, _), (old_token, gone) = await two_of_one(api)
    idea = await api.idea()
    for each in (token, old_token):
        await api.set_vote(idea, token=each)
    for days, resident in ((3, gone),):
        await api.conn.execute(
            "UPDATE votes SET cast_at = cast_at - make_interval(days => $1) WHERE resident_id = $2", days, resident
        )
    await set_vote_strength(api.settings, slug=SLUG, strength="DEVICE")  # counts anew
    await signed_in(api, person("aino"), caller=gone)
    assert await miscounts(api.conn) == []
    [(count, score)] = await api.conn.fetch("SELECT vote_count, greatest(even_score, odd_score) FROM idea_tallies")
    assert (count, score) == (1, 11)


async def test_a_stale_token_casts_no_vote_and_what_else_it_wrote_is_moved(api: Api) -> None:
    """As another process sees it that hasn't heard yet: the statement refuses by itself."""
    (_, kept), (_, gone) = await two_of_one(api)
    idea = await api.idea()
    await signed_in(api, person("aino"), caller=gone)
    idea_id = parse_id(idea)[1]
    [outcome] = await set_votes(api.conn, [VoteStatement(api.catalogue.id, idea_id, gone, True)])
    assert not outcome.resident_known and outcome.vote is None
    assert await api.conn.fetchval("SELECT count(*) FROM votes") == 0
    await api.conn.execute("UPDATE ideas SET author_id = $1", gone)
    await api.conn.execute("INSERT INTO follows VALUES ($1, $2, $3)", api.catalogue.id, gone, idea_id)
    due = await api.conn.fetchval("SELECT execute_after - now() FROM pgqueuer WHERE entrypoint = 'join_again'")
    assert timedelta(seconds=5) < due <= timedelta(seconds=15)
    job = join_again(api.app.state.pipeline.gate.services.pool)
    for _ in range(2):
        await job({"municipality_id": str(api.catalogue.id), "joined_id": str(gone)})
        assert await api.conn.fetchval("SELECT author_id FROM ideas") == kept
        assert await api.conn.fetchval("SELECT count(*) FROM follows WHERE resident_id = $1", gone) == 0


async def test_two_devices_that_prove_a_new_identity_at_once_are_one_account(api: Api) -> None:
    devices = [await device(api) for _ in range(4)]
    payloads = await asyncio.gather(
        *(signed_in(api, person("aino"), email("aino"), caller=id) for _, id in devices),
        *(signed_in(api, email("aino"), strength="EMAIL") for _ in range(4)),
    )
    final = {whose(payload) for payload in await asyncio.gather(*(signed_in(api, person("aino")) for _ in range(2)))}
    assert len(final) == 1
    ids = [*(id for _, id in devices), *(whose(payload) for payload in payloads)]
    standing = await api.conn.fetch(
        "SELECT id FROM residents WHERE id = ANY($1::uuid[]) AND joined_into_id IS NULL", ids
    )
    assert {row[0] for row in standing} == final
    strangers = "SELECT count(*) FROM residents AS r WHERE display_name LIKE 'Asukas %' AND joined_into_id IS NULL"
    assert await api.conn.fetchval(strangers) == 1


async def test_line_3_one_person_from_three_devices_erased_and_back_has_one_vote_on_an_idea(api: Api) -> None:
    ideas = [await api.idea() for _ in range(6)]
    devices = [await device(api) for _ in range(3)]
    chance, now = random.Random(7), datetime.now(UTC)  # the same each time
    for token, _ in devices:
        for idea in ideas:
            for hours in sorted(chance.sample(range(1, 50), chance.randrange(4)), reverse=True):
                at = (now - timedelta(hours=hours)).isoformat()
                await api.set_vote(idea, token=token, voted=chance.random() < 0.7, decidedAt=at)
    assert await miscounts(api.conn) == []
    ids = [id for _, id in devices]
    stop = asyncio.Event()

    async def go_on_voting(token: str) -> None:
        while not stop.is_set():
            asked = {"ideaId": chance.choice(ideas), "voted": chance.random() < 0.7}
            answer = (await api.post(SET_VOTE, {"input": asked}, token=token)).json()
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
            assert codes <= {"UNAUTHENTICATED"}, answer
            # A token called back is refused without waiting for anything: nobody else would ever have a turn.
            await asyncio.sleep(0.001)

    async def watch() -> None:
        """Nobody ever sees two of them on an idea, once they are one."""
        while not stop.is_set():
            async with api.app.state.pipeline.gate.services.background.acquire() as conn:
                joined = [
                    row[0]
                    for row in await conn.fetch(
                        "SELECT id FROM residents WHERE joined_into_id IS NOT NULL AND id = ANY($1::uuid[])", ids
                    )
                ]
                assert (
                    await conn.fetchval("SELECT count(*) FROM votes WHERE resident_id = ANY($1::uuid[])", joined) == 0
                )
            await asyncio.sleep(0.005)

    async def log_in() -> set[UUID]:
        try:
            await asyncio.sleep(0.1)
            payloads = await asyncio.gather(*(signed_in(api, person("aino"), caller=id) for id in ids))
            await asyncio.sleep(0.2)
            return {whose(payload) for payload in payloads}
        finally:
            stop.set()

    async with asyncio.TaskGroup() as tasks:
        for token, _ in devices:
            tasks.create_task(go_on_voting(token))
        tasks.create_task(watch())
        logged_in = tasks.create_task(log_in())
    assert logged_in.result() & set(ids)

    async def shown() -> dict[str, int]:
        board = await api.data(BOARD)
        return {edge["node"]["idea"]["id"]: edge["node"]["score"] for edge in board["leaderboard"]["edges"]}

    async def check() -> UUID:
        kept = whose(await signed_in(api, person("aino")))
        voters = {row[0] for row in await api.conn.fetch("SELECT DISTINCT resident_id FROM votes")}
        assert voters == {kept}
        assert await api.conn.fetch(STANDING_TWICE, ids) == []
        assert await miscounts(api.conn) == []
        assert await api.conn.fetchval("SELECT coalesce(max(vote_count), 0) FROM idea_tallies") <= 1
        await api.boards_settled()
        counts = await api.conn.fetch("SELECT idea_id, count(*) FROM votes WHERE voted GROUP BY 1")
        rows = {row[0]: row[1] for row in counts}
        async with asyncio.timeout(5):  # what is the same for everybody may be a second old
            while await shown() != {idea: rows.get(parse_id(idea)[1], 0) for idea in ideas}:  # noqa: ASYNC110 # likewise
                await asyncio.sleep(0.1)
        return kept

    kept = await check()
    before = await api.conn.fetch("SELECT * FROM votes ORDER BY idea_id")
    # What erasure leaves: a pseudonym, its votes and its keyed hashes.
    await api.conn.execute("UPDATE residents SET erased_at = now(), display_name = '-' WHERE id = $1", kept)
    refused = await api.post(
        SET_VOTE, {"input": {"ideaId": ideas[0], "voted": True}}, token=devices[ids.index(kept)][0]
    )
    assert "UNAUTHENTICATED" in refused.text
    assert await api.conn.fetch("SELECT * FROM votes ORDER BY idea_id") == before
    # Back on a fourth device, which has voted for everything already.
    token, fourth = await device(api)
    for idea in ideas:
        await api.set_vote(idea, token=token)
    assert whose(await signed_in(api, person("aino"), caller=fourth)) == kept
    assert await check() == kept


SET_VOTE = "mutation ($input: SetVoteInput!) { setVote(input: $input) { errors { code } } }"
BOARD = "{ leaderboard(window: ALL_TIME, first: 20) { edges { node { score idea { id } } } } }"


async def test_fifty_joins_at_once_with_votes_in_flight_wait_for_nobody_in_a_ring(api: Api) -> None:
    ideas = [await api.idea() for _ in range(5)]
    people = [(f"p{n}", [await device(api) for _ in range(2)]) for n in range(25)]
    for name, devices in people:
        await signed_in(api, person(name), caller=devices[0][1])
        await asyncio.gather(*(api.set_vote(idea, token=token) for token, _ in devices for idea in ideas[:3]))

    async def vote(token: str) -> None:
        for idea in random.sample(ideas, len(ideas)):
            answer = (await api.post(SET_VOTE, {"input": {"ideaId": idea, "voted": True}}, token=token)).json()
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
            assert codes <= {"UNAUTHENTICATED", "UNAVAILABLE"}, answer

    async def log_in(name: str, id: UUID) -> None:
        """As a phone does it: sends again where the machine is too busy."""
        for _ in range(5):
            with contextlib.suppress(Unavailable):
                await signed_in(api, person(name), caller=id)
                return
        raise AssertionError("never got in")

    await asyncio.gather(
        *(log_in(name, devices[1][1]) for name, devices in people for _ in range(2)),
        *(vote(token) for _, devices in people for token, _ in devices),
    )
    await asyncio.sleep(1.5)  # until PostgreSQL's counters are written
    assert await api.conn.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    joined = "SELECT count(*) FROM residents WHERE joined_into_id IS NOT NULL"
    assert await api.conn.fetchval(joined) == 25
    assert await api.conn.fetchval("SELECT max(vote_count) FROM idea_tallies") == 25
    assert await miscounts(api.conn) == []


@dataclass
class Model:
    """What should stand: by account and idea the newest statement, its first casting aside."""

    owner: dict[int, str] = field(default_factory=dict)  # of devices
    said: dict[tuple[int, int], tuple[int, bool]] = field(default_factory=dict)

    def votes(self) -> Mapping[tuple[str, int], bool]:
        newest: dict[tuple[str, int], tuple[int, bool]] = {}
        for (who, idea), (at, voted) in self.said.items():
            key = (self.owner.get(who, f"device {who}"), idea)
            newest[key] = max(newest.get(key, (-1, False)), (at, voted))
        return {key: voted for key, (_, voted) in newest.items()}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("vote"), st.integers(0, 3), st.integers(0, 2), st.booleans(), st.integers(0, 40)),
        st.tuples(st.just("login"), st.integers(0, 3), st.sampled_from(["aino", "bertta"])),
        st.tuples(st.just("email"), st.integers(0, 3), st.sampled_from(["aino", "bertta"])),
    ),
    min_size=3,
    max_size=14,
)


async def test_any_sequence_of_votes_raises_and_joins_counts_as_a_simple_model_does(api: Api) -> None:
    ideas, loop = [await api.idea() for _ in range(3)], asyncio.get_running_loop()
    start = datetime.now(UTC) - timedelta(hours=50)
    runs = 0

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS, st.sampled_from(["DEVICE", "EMAIL", "STRONG"]))
    def sequence(steps: list[tuple[Any, ...]], counts_from: str) -> None:  # Any: steps of three kinds
        asyncio.run_coroutine_threadsafe(run(steps, counts_from), loop).result(60)

    async def run(steps: list[tuple[Any, ...]], counts_from: str) -> None:  # Any: likewise
        nonlocal runs
        runs += 1
        await api.conn.execute(
            "TRUNCATE votes, tally_days, identities; UPDATE idea_tallies SET device_count = 0, "
            "email_count = 0, strong_count = 0, vote_count = 0, even_score = 0, odd_score = 0"
        )
        await api.conn.execute("UPDATE municipalities SET vote_strength = $1::text::identity_strength", counts_from)
        model, devices = Model(), [await device(api) for _ in range(4)]
        ids = [id for _, id in devices]
        for kind, who, *rest in steps:
            if kind == "vote":
                idea, voted, at = rest
                # As a phone says it that has refreshed its session since.
                account = await api.conn.fetchval(FINAL, ids[who])
                mine = [other for other in range(4) if await api.conn.fetchval(FINAL, ids[other]) == account]
                if any(model.said.get((other, idea), (-1, False))[0] == at for other in mine):
                    continue  # of two at one moment, which one stands isn't promised
                statement = VoteStatement(
                    api.catalogue.id, parse_id(ideas[idea])[1], account, voted, start + timedelta(hours=at)
                )
                [outcome] = await set_votes(api.conn, [statement])
                assert outcome.resident_known
                model.said[who, idea] = max(model.said.get((who, idea), (-1, False)), (at, voted))
            else:
                account = await api.conn.fetchval(FINAL, ids[who])
                identity = person(rest[0]) if kind == "login" else email(rest[0])
                strength = "STRONG" if kind == "login" else "EMAIL"
                await signed_in(api, identity, caller=account, strength=strength)  # type: ignore[arg-type] # one of two
        finals = {id: await api.conn.fetchval(FINAL, id) for id in ids}
        model.owner = {who: str(finals[id]) for who, id in enumerate(ids)}
        rows = await api.conn.fetch("SELECT resident_id, idea_id, voted, strength::text FROM votes")
        numbers = {parse_id(idea)[1]: number for number, idea in enumerate(ideas)}
        assert {(str(row[0]), numbers[row[1]]): row[2] for row in rows} == model.votes()
        strengths = {row[0]: row[1] for row in await api.conn.fetch("SELECT id, strength::text FROM residents")}
        assert all(row["strength"] == strengths[row["resident_id"]] for row in rows)
        assert await miscounts(api.conn) == []
        # No account has two persons.
        assert (
            await api.conn.fetchval(
                "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM identities"
                " WHERE kind = 'PERSON' GROUP BY resident_id) AS c"
            )
            <= 1
        )

    await asyncio.to_thread(sequence)
    assert runs >= 25


FINAL = """
WITH RECURSIVE chain AS (
  SELECT id, joined_into_id FROM residents WHERE id = $1
  UNION ALL SELECT r.id, r.joined_into_id FROM chain AS c JOIN residents AS r ON r.id = c.joined_into_id
)
SELECT id FROM chain WHERE joined_into_id IS NULL
"""


async def test_votes_count_from_the_strength_that_the_operator_sets_and_boards_follow(api: Api) -> None:
    idea = await api.idea()
    await api.set_vote(idea, token=await api.token(strength="DEVICE"))
    await api.set_vote(idea, token=await api.token(strength="EMAIL"))
    stop = asyncio.Event()

    async def go_on_voting() -> None:
        while not stop.is_set():
            token = await api.token(strength="DEVICE")
            await api.set_vote(idea, token=token)

    async def change() -> None:
        for strength in ("STRONG", "EMAIL", "DEVICE", "EMAIL"):
            await set_vote_strength(api.settings, slug=SLUG, strength=strength)
        stop.set()

    await asyncio.gather(change(), *(go_on_voting() for _ in range(3)))
    assert await miscounts(api.conn) == []
    assert await api.conn.fetchval("SELECT vote_count FROM idea_tallies") == 1
    await api.boards_settled()
    [edge] = (await api.data(BOARD))["leaderboard"]["edges"]
    assert edge["node"]["score"] == 1
    acts = await api.conn.fetch("SELECT details FROM audit_entries WHERE act = 'VOTE_STRENGTH_SET' ORDER BY sequence")
    assert acts[-1]["details"] == '{"after":"EMAIL","before":"DEVICE"}'
