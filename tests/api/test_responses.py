"""The municipality answers in public, on the clock, and with reasons."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from backend.ids import global_id, parse_id
from backend.rules.responses import STEPS
from tests.conftest import Api, Json

pytestmark = pytest.mark.anyio

SELECTION = """
response {
  id kind body reasons nextStep nextStepDueAt statusAfter createdAt idea { id }
  official { name } department { id } toDepartment { id } toOfficial { id name }
}
idea {
  status version acceptsVotes department { id } responsible { id }
  clock { firstResponseAt answeredAt isOverdue } latestResponse { id }
}
"""
COUNTS = "SELECT (SELECT count(*) FROM responses), (SELECT count(*) FROM pgqueuer)"


async def respond(api: Api, idea_id: str, *, token: str, **input: object) -> Json:
    asked = {"ideaId": idea_id, "kind": "RECEIPT", "body": "Luettu.", "idempotencyKey": str(uuid4()), **input}
    return await api.mutate("respondToIdea", asked, SELECTION, token=token)


async def refused(api: Api, idea_id: str, *, token: str, **input: object) -> tuple[str, str]:
    """Code and field of a refusal that changed nothing."""
    before = await state(api)
    payload = await respond(api, idea_id, token=token, **input)
    assert (payload["response"], payload["idea"]) == (None, None)
    assert await state(api) == before
    [error] = payload["errors"]
    return error["code"], error["field"][1]


async def state(api: Api) -> list[object]:
    ideas = await api.conn.fetch(
        "SELECT id, version, status, department_id, post_id, answered_at FROM ideas ORDER BY id"
    )
    return [*map(tuple, ideas), tuple(await api.conn.fetchrow(COUNTS) or ())]


def general_department(api: Api) -> UUID:
    """Owns ideas thrown without a theme; api.token() puts officials there."""
    return api.catalogue.general_theme.department_id


def another_department(api: Api) -> UUID:
    return next(id for id in api.catalogue.departments if id != general_department(api))


async def test_a_receipt_stops_the_first_clock_alone(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    due = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = await respond(api, idea_id, token=token, nextStep=" Katselmus ", nextStepDueAt=due, reasons="  ")
    said, idea = payload["response"], payload["idea"]
    assert payload["errors"] == []
    assert said == {
        "id": said["id"],
        "kind": "RECEIPT",
        "body": "Luettu.",
        "reasons": None,
        "nextStep": "Katselmus",
        "nextStepDueAt": due,
        "statusAfter": "OPEN",
        "createdAt": said["createdAt"],
        "idea": {"id": idea_id},
        "official": said["official"],
        "department": {"id": global_id("Department", general_department(api))},
        "toDepartment": None,
        "toOfficial": None,
    }
    assert (idea["status"], idea["version"], idea["latestResponse"]) == ("OPEN", 2, {"id": said["id"]})
    assert idea["clock"] == {"firstResponseAt": said["createdAt"], "answeredAt": None, "isOverdue": False}


async def test_the_first_times_stay(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    receipt = await respond(api, idea_id, token=token)
    decision = await respond(api, idea_id, token=token, kind="DECISION", reasons="Rahaa on.", newStatus="PLANNED")
    later = await respond(api, idea_id, token=token, kind="DECISION", reasons="Ensin kokeillaan.", newStatus="TRIAL")
    assert later["idea"]["status"] == "TRIAL"
    assert later["idea"]["acceptsVotes"] is False
    assert later["idea"]["clock"] == {
        "firstResponseAt": receipt["response"]["createdAt"],
        "answeredAt": decision["response"]["createdAt"],
        "isOverdue": False,
    }


async def test_a_decision_stops_both_clocks(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    payload = await respond(api, idea_id, token=token, kind="DECISION", reasons="Ei ole tilaa.", newStatus="DECLINED")
    at = payload["response"]["createdAt"]
    assert payload["idea"]["clock"] == {"firstResponseAt": at, "answeredAt": at, "isOverdue": False}


async def test_a_decision_without_reasons_is_refused(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    decision = {"kind": "DECISION", "newStatus": "DECLINED"}
    assert await refused(api, idea_id, token=token, **decision) == ("REASONS_REQUIRED", "reasons")
    assert await refused(api, idea_id, token=token, **decision, reasons=" \n ") == ("REASONS_REQUIRED", "reasons")


async def test_what_cannot_be_is_refused_naming_the_field(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    nobody = global_id("Official", uuid4())
    for input_, expected in (
        ({"body": "  "}, ("REQUIRED", "body")),
        ({"body": "x" * 10_001}, ("TOO_LONG", "body")),
        ({"nextStep": "x" * 2_001}, ("TOO_LONG", "nextStep")),
        ({"nextStepDueAt": past}, ("INVALID", "nextStepDueAt")),
        ({"newStatus": "PLANNED"}, ("INVALID", "newStatus")),
        ({"newStatus": "MERGED"}, ("INVALID", "newStatus")),
        ({"expectedVersion": 2}, ("CONFLICT", "expectedVersion")),
        ({"kind": "TRANSFER"}, ("REQUIRED", "toDepartmentId")),
        ({"kind": "TRANSFER", "toDepartmentId": idea_id}, ("NOT_FOUND", "toDepartmentId")),
        ({"kind": "ASSIGNMENT"}, ("REQUIRED", "toOfficialId")),
        ({"kind": "ASSIGNMENT", "toOfficialId": nobody}, ("NOT_FOUND", "toOfficialId")),
    ):
        assert await refused(api, idea_id, token=token, **input_) == expected


async def test_only_the_owning_department_and_coordinators_respond(api: Api) -> None:
    idea_id = await api.idea()
    outsider = await api.token("OFFICIAL", department=another_department(api))
    assert await refused(api, idea_id, token=outsider) == ("NOT_ALLOWED", "ideaId")
    coordinator = await api.token("COORDINATOR", department=another_department(api))
    assert (await respond(api, idea_id, token=coordinator))["errors"] == []


async def test_an_official_who_left_office_responds_no_more(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    given = (await respond(api, idea_id, token=token))["response"]
    await api.conn.execute("UPDATE officials SET ended_at = now()")
    assert await refused(api, idea_id, token=token) == ("NOT_ALLOWED", "ideaId")
    # What was said stays, signed by the same name.
    data = await api.data(
        "query ($id: ID!) { node(id: $id) { ... on Response { official { name } } } }", {"id": given["id"]}
    )
    assert data["node"]["official"] == given["official"]


async def test_residents_and_nobody_may_not_respond(api: Api) -> None:
    query = "mutation ($input: RespondToIdeaInput!) { respondToIdea(input: $input) { errors { code } } }"
    asked = {"ideaId": await api.idea(), "kind": "RECEIPT", "body": "Hei", "idempotencyKey": str(uuid4())}
    assert await api.code(query, {"input": asked}, token=await api.token()) == "FORBIDDEN"
    assert await api.code(query, {"input": asked}) == "UNAUTHENTICATED"
    assert await api.conn.fetchval("SELECT count(*) FROM responses") == 0


async def test_officials_of_another_municipality_find_no_idea(api: Api) -> None:
    idea_id = await api.idea()
    stranger = await api.token("OFFICIAL", municipality="muula")
    assert await refused(api, idea_id, token=stranger) == ("NOT_FOUND", "ideaId")


async def test_a_transfer_gives_the_case_to_who_answers_there(api: Api) -> None:
    idea_id, token, to = await api.idea(), await api.token("OFFICIAL"), another_department(api)
    post = api.catalogue.responsible_post(to, theme_id=api.catalogue.general_theme.id, district_id=None)
    payload = await respond(api, idea_id, token=token, kind="TRANSFER", toDepartmentId=global_id("Department", to))
    assert payload["response"]["department"] == {"id": global_id("Department", general_department(api))}
    assert payload["response"]["toDepartment"] == {"id": global_id("Department", to)}
    assert payload["idea"]["department"] == {"id": global_id("Department", to)}
    assert payload["idea"]["responsible"] == {"id": global_id("Official", api.catalogue.holder(post).id)}
    # The case is the other department's now.
    assert await refused(api, idea_id, token=token) == ("NOT_ALLOWED", "ideaId")


async def test_an_assignment_gives_the_case_to_a_colleague(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    await api.token("OFFICIAL")  # a colleague
    colleague = await api.conn.fetchval("SELECT official_id FROM residents ORDER BY id DESC LIMIT 1")
    to = global_id("Official", colleague)
    payload = await respond(api, idea_id, token=token, kind="ASSIGNMENT", toOfficialId=to)
    assert payload["response"]["toOfficial"]["id"] == to
    assert payload["idea"]["responsible"] == {"id": to}


async def test_what_is_withdrawn_takes_no_response(api: Api) -> None:
    author = await api.token()
    idea_id = await api.idea(token=author)
    assert (await api.mutate("withdrawIdea", {"ideaId": idea_id}, "idea { status }", token=author))["errors"] == []
    assert await refused(api, idea_id, token=await api.token("OFFICIAL")) == ("CLOSED", "ideaId")


async def test_a_repeated_call_responds_once(api: Api) -> None:
    idea_id, token, key = await api.idea(), await api.token("OFFICIAL"), str(uuid4())
    answers = await asyncio.gather(*(respond(api, idea_id, token=token, idempotencyKey=key) for _ in range(5)))
    assert len({answer["response"]["id"] for answer in answers}) == 1
    assert tuple(await api.conn.fetchrow(COUNTS) or ()) == (1, 1)
    changed = await respond(api, idea_id, token=token, idempotencyKey=key, body="Muuta.")
    assert changed["errors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": ["input", "idempotencyKey"]}]


async def test_simultaneous_decisions_come_one_after_the_other(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    decision = {"kind": "DECISION", "reasons": "Sopii.", "newStatus": "PLANNED", "expectedVersion": 1}
    answers = await asyncio.gather(*(respond(api, idea_id, token=token, **decision) for _ in range(4)))
    assert sorted(error["code"] for answer in answers for error in answer["errors"]) == ["CONFLICT"] * 3
    assert await api.conn.fetchval("SELECT count(*) FROM responses") == 1


async def test_responses_are_paged_oldest_first(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token("OFFICIAL")
    said = [(await respond(api, idea_id, token=token, body=f"{n}"))["response"]["id"] for n in range(5)]
    query = """query ($id: ID!, $after: String) { node(id: $id) { ... on Idea {
      responses(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } } }"""
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await api.data(query, {"id": idea_id, "after": after}))["node"]["responses"]
        seen += [node["id"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == said


async def test_responses_of_a_hidden_idea_are_hidden_with_it(api: Api) -> None:
    author = await api.token()
    idea_id, token = await api.idea(token=author), await api.token("OFFICIAL")
    said = (await respond(api, idea_id, token=token))["response"]["id"]
    hidden = {"ideaId": idea_id, "reason": "Solvaus"}
    await api.mutate("hideIdea", hidden, "idea { id }", token=await api.token("MODERATOR"))
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert (await api.data(query, {"id": said}))["node"] is None
    assert (await api.data(query, {"id": said}, token=token))["node"] is None
    assert (await api.data(query, {"id": said}, token=author))["node"] == {"id": said}
    assert await refused(api, idea_id, token=token) == ("NOT_FOUND", "ideaId")


async def test_the_database_knows_the_same_steps(api: Api) -> None:
    rows = await api.conn.fetch(
        "SELECT from_status::text, via, to_status::text FROM status_transitions"
        " WHERE from_status <> to_status AND via NOT IN ('WITHDRAWAL', 'MERGE')"
    )
    assert set(map(tuple, rows)) == {
        (before, kind, after) for after, step in STEPS.items() for kind in step.kinds for before in step.statuses
    }


async def test_a_response_is_never_changed_or_removed(api: Api) -> None:
    await respond(api, await api.idea(), token=await api.token("OFFICIAL"))
    for statement in ("UPDATE responses SET body = 'Muuta.'", "DELETE FROM responses"):
        with pytest.raises(asyncpg.CheckViolationError, match="append-only"):
            await api.conn.execute(statement)


async def test_every_response_moves_the_tally_so_that_subscribers_learn_of_it(api: Api) -> None:
    idea_id = await api.idea()
    version = "SELECT version FROM idea_tallies WHERE idea_id = $1"
    uuid = parse_id(idea_id)[1]
    before = await api.conn.fetchval(version, uuid)
    await respond(api, idea_id, token=await api.token("OFFICIAL"))
    assert await api.conn.fetchval(version, uuid) == before + 1
