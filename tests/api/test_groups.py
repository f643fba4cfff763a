import asyncio
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx2
import pytest

from backend.app import create_app
from backend.ids import global_id
from backend.settings import Settings, Switch
from tests.conftest import Api, Json

pytestmark = pytest.mark.anyio

GROUPS = """query ($filter: GroupFilter, $first: Int, $after: String) {
  groups(filter: $filter, first: $first, after: $after) {
    nodes { displayName } pageInfo { endCursor hasNextPage hasPreviousPage } } }"""
GROUP = """query ($id: ID!, $first: Int, $after: String) { node(id: $id) { ... on Group {
  memberCount viewerRole members(first: $first, after: $after) {
    edges { role joinedAt node { displayName } } nodes { displayName } pageInfo { endCursor hasNextPage } } } } }"""
GROUP_IDEAS = """query ($id: ID!, $first: Int, $after: String, $orderBy: IdeaOrder! = NEWEST) { node(id: $id) {
  ... on Group { ideas(first: $first, after: $after, orderBy: $orderBy) {
    nodes { title author { displayName } groups { displayName } } pageInfo { endCursor hasNextPage } } } } }"""
VIEWER_GROUPS = """query ($after: String) { viewer { groups(first: 1, after: $after) {
  nodes { displayName viewerRole } pageInfo { endCursor hasNextPage } } } }"""


@dataclass(frozen=True)
class Person:
    token: str
    id: str


async def person(api: Api, name: str) -> Person:
    given = {"locale": "fi", "displayName": name, "idempotencyKey": str(uuid4())}
    session = await api.mutate("registerDevice", given, "accessToken viewer { resident { id } }")
    return Person(session["accessToken"], session["viewer"]["resident"]["id"])


async def people(api: Api, *names: str) -> list[Person]:
    return [await person(api, name) for name in names]


async def create(api: Api, creator: Person, name: str = "Rantaraitti", **more: object) -> Json:
    given = {"displayName": name, "kind": "INFORMAL", "idempotencyKey": str(uuid4()), **more}
    selection = "group { id displayName kind description approvesMembers memberCount viewerRole }"
    return await api.mutate("createGroup", given, selection, token=creator.token)


async def created(api: Api, creator: Person, name: str = "Rantaraitti", **more: object) -> str:
    payload = await create(api, creator, name, **more)
    assert payload["errors"] == []
    id_: str = payload["group"]["id"]
    return id_


async def change(api: Api, who: Person, name: str, group: str, **more: object) -> Json:
    return await api.mutate(name, {"groupId": group, **more}, "group { memberCount viewerRole }", token=who.token)


async def join(api: Api, who: Person, group: str) -> Json:
    return await change(api, who, "joinGroup", group)


async def approve(api: Api, who: Person, group: str, resident: str) -> Json:
    return await change(api, who, "approveMember", group, residentId=resident)


async def leave(api: Api, who: Person, group: str) -> Json:
    return await change(api, who, "leaveGroup", group)


def changed(member_count: int, viewer_role: str | None) -> Json:
    return {"group": {"memberCount": member_count, "viewerRole": viewer_role}, "errors": []}


def refused(code: str, field: str) -> Json:
    return {"group": None, "errors": [{"code": code, "field": ["input", field]}]}


async def seen(api: Api, group: str, who: Person | None = None, **page: object) -> Json:
    node: Json = (await api.data(GROUP, {"id": group, **page}, token=who.token if who else ""))["node"]
    return node


async def roles(api: Api, group: str, who: Person) -> list[tuple[str, str]]:
    edges = (await seen(api, group, who))["members"]["edges"]
    return [(edge["node"]["displayName"], edge["role"]) for edge in edges]


async def names(api: Api, **filter_: str) -> list[str]:
    token = await api.token()  # who is signed in gets no kept answer
    data = await api.data(GROUPS, {"filter": filter_}, token=token)
    return [node["displayName"] for node in data["groups"]["nodes"]]


async def connect_fully(api: Api) -> None:
    """Opens the connections to PostgreSQL that calls at the same moment need to race each other."""
    await asyncio.gather(*(names(api) for _ in range(api.settings.database_pool)))


async def test_the_creator_becomes_contact_at_once(api: Api) -> None:
    payload = await create(api, await person(api, "Anna"), "  Rantaraitti ", description="Siivoamme rantaa.")
    assert payload["group"].pop("id")
    assert payload == {
        "group": {
            "displayName": "Rantaraitti",
            "kind": "INFORMAL",
            "description": "Siivoamme rantaa.",
            "approvesMembers": False,
            "memberCount": 1,
            "viewerRole": "CONTACT",
        },
        "errors": [],
    }


async def test_a_registered_group_approves_its_members_whatever_was_asked(api: Api) -> None:
    group = (await create(api, await person(api, "Anna"), kind="REGISTERED", approvesMembers=False))["group"]
    assert (group["kind"], group["approvesMembers"]) == ("REGISTERED", True)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"displayName": " \t"}, "REQUIRED", "displayName"),
        ({"displayName": "ä" * 61}, "TOO_LONG", "displayName"),
        ({"description": "ä" * 2001}, "TOO_LONG", "description"),
    ],
)
async def test_a_group_needs_a_name_and_texts_within_bounds(api: Api, given: Json, code: str, field: str) -> None:
    assert await create(api, await person(api, "Anna"), **given) == refused(code, field)
    assert await names(api) == []


async def test_the_same_key_gives_the_same_group(api: Api) -> None:
    anna, key = await person(api, "Anna"), str(uuid4())
    payloads = await asyncio.gather(*(create(api, anna, idempotencyKey=key) for _ in range(4)))
    assert payloads == [payloads[0]] * 4
    other = await create(api, anna, "Muu", idempotencyKey=key)
    assert other == refused("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
    assert await names(api) == ["Rantaraitti"]


async def test_three_groups_a_day_also_when_asked_for_at_once(api: Api, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"rate_limits": Switch.ON}))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://heitto.test") as client,
    ):
        paced, key = replace(api, app=app, client=client), str(uuid4())
        anna, ben = await people(paced, "Anna", "Ben")
        first = await created(paced, anna, "Ensin", idempotencyKey=key)
        await connect_fully(paced)
        payloads = await asyncio.gather(*(create(paced, anna, f"Ryhmä {n}") for n in range(8)))
        errors = [error for payload in payloads for error in payload["errors"]]
        assert errors == [{"code": "LIMIT_REACHED", "field": None}] * 6
        assert len(await names(paced)) == 3
        await leave(paced, anna, first)
        assert (await create(paced, anna, "Vielä"))["errors"] == [{"code": "LIMIT_REACHED", "field": None}]
        assert await created(paced, anna, "Ensin", idempotencyKey=key) == first
        await created(paced, ben, "Benin")


async def test_joining_an_open_group_makes_a_member_once(api: Api) -> None:
    anna, ben = await people(api, "Anna", "Ben")
    group = await created(api, anna)
    await connect_fully(api)
    assert await asyncio.gather(*(join(api, ben, group) for _ in range(8))) == [changed(2, "MEMBER")] * 8
    assert await join(api, anna, group) == changed(2, "CONTACT")
    assert await roles(api, group, ben) == [("Anna", "CONTACT"), ("Ben", "MEMBER")]


async def test_many_who_come_and_go_at_once_are_counted_right(api: Api) -> None:
    group = await created(api, await person(api, "Anna"))
    crowd = await people(api, *(f"Asukas {n}" for n in range(12)))
    await asyncio.gather(*(join(api, who, group) for who in crowd * 2))
    assert (await seen(api, group))["memberCount"] == 13
    await asyncio.gather(*(leave(api, who, group) for who in crowd[:5] * 2))
    assert (await seen(api, group))["memberCount"] == 8
    assert len(await roles(api, group, crowd[5])) == 8


async def test_where_a_contact_approves_one_is_pending_until_then(api: Api) -> None:
    anna, ben, carl = await people(api, "Anna", "Ben", "Carl")
    group = await created(api, anna, approvesMembers=True)
    assert [await join(api, ben, group), await join(api, ben, group)] == [changed(1, "PENDING")] * 2
    await join(api, carl, group)
    assert await roles(api, group, anna) == [("Anna", "CONTACT"), ("Ben", "PENDING"), ("Carl", "PENDING")]
    carl_asked_at = (await seen(api, group, anna))["members"]["edges"][2]["joinedAt"]
    assert [await approve(api, anna, group, ben.id) for _ in range(2)] == [changed(2, "CONTACT")] * 2
    assert (await seen(api, group, ben))["viewerRole"] == "MEMBER"
    assert await roles(api, group, anna) == [("Anna", "CONTACT"), ("Carl", "PENDING"), ("Ben", "MEMBER")]
    assert (await seen(api, group, anna))["members"]["edges"][2]["joinedAt"] > carl_asked_at
    assert await roles(api, group, ben) == [("Anna", "CONTACT"), ("Ben", "MEMBER")]


async def test_only_contacts_approve_and_only_who_asked(api: Api) -> None:
    anna, ben, carl, dora = await people(api, "Anna", "Ben", "Carl", "Dora")
    group = await created(api, anna, approvesMembers=True)
    await join(api, ben, group)
    await approve(api, anna, group, ben.id)
    await join(api, carl, group)
    for who in (ben, carl, dora):
        assert await approve(api, who, group, carl.id) == refused("NOT_ALLOWED", "groupId")
        assert await approve(api, who, group, dora.id) == refused("NOT_ALLOWED", "groupId")
    assert await approve(api, anna, group, dora.id) == refused("NOT_FOUND", "residentId")
    assert await approve(api, anna, group, group) == refused("NOT_FOUND", "residentId")
    assert await roles(api, group, anna) == [("Anna", "CONTACT"), ("Ben", "MEMBER"), ("Carl", "PENDING")]


async def test_who_is_no_member_sees_no_members(api: Api) -> None:
    anna, ben, carl = await people(api, "Anna", "Ben", "Carl")
    group = await created(api, anna, approvesMembers=True)
    await join(api, ben, group)
    assert await seen(api, group) == {"memberCount": 1, "viewerRole": None, "members": None}
    assert await seen(api, group, carl) == {"memberCount": 1, "viewerRole": None, "members": None}
    assert await seen(api, group, ben) == {"memberCount": 1, "viewerRole": "PENDING", "members": None}


async def test_the_last_contact_cannot_leave_other_members_behind(api: Api) -> None:
    anna, ben, carl = await people(api, "Anna", "Ben", "Carl")
    group = await created(api, anna)
    await join(api, ben, group)
    assert await leave(api, anna, group) == refused("NOT_ALLOWED", "groupId")
    assert await roles(api, group, anna) == [("Anna", "CONTACT"), ("Ben", "MEMBER")]
    assert await leave(api, carl, group) == changed(2, None)
    assert [await leave(api, ben, group), await leave(api, ben, group)] == [changed(1, None)] * 2
    assert await leave(api, anna, group) == changed(0, None)
    assert await names(api) == ["Rantaraitti"]


async def test_a_request_can_be_taken_back(api: Api) -> None:
    anna, ben = await people(api, "Anna", "Ben")
    group = await created(api, anna, approvesMembers=True)
    await join(api, ben, group)
    assert await leave(api, ben, group) == changed(1, None)
    assert await approve(api, anna, group, ben.id) == refused("NOT_FOUND", "residentId")


async def test_an_unknown_group_is_not_found(api: Api) -> None:
    anna = await person(api, "Anna")
    for unknown in (anna.id, global_id("Group", uuid4())):
        assert await join(api, anna, unknown) == refused("NOT_FOUND", "groupId")
        assert await leave(api, anna, unknown) == refused("NOT_FOUND", "groupId")
        assert await approve(api, anna, unknown, anna.id) == refused("NOT_FOUND", "groupId")


async def test_members_come_in_pages_longest_first(api: Api) -> None:
    anna, *others = await people(api, "Anna", "Ben", "Carl", "Dora", "Elsa")
    group, second_group = await created(api, anna), await created(api, anna, "Muu")
    for who in others:
        await join(api, who, group)
    pages: list[list[str]] = []
    after, more = None, True
    while more:
        members = (await seen(api, group, anna, first=2, after=after))["members"]
        pages.append([node["displayName"] for node in members["nodes"]])
        after, more = members["pageInfo"]["endCursor"], members["pageInfo"]["hasNextPage"]
    assert pages == [["Anna", "Ben"], ["Carl", "Dora"], ["Elsa"]]
    assert await api.code(GROUP, {"id": second_group, "after": after}, token=anna.token) == "BAD_USER_INPUT"


async def test_groups_come_newest_first_in_pages(api: Api) -> None:
    anna = await person(api, "Anna")
    for name in ("Yksi", "Kaksi", "Kolme"):
        await created(api, anna, name)
    page = (await api.data(GROUPS, {"first": 2}))["groups"]
    cursor = page["pageInfo"].pop("endCursor")
    assert [node["displayName"] for node in page["nodes"]] == ["Kolme", "Kaksi"]
    assert page["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}
    page = (await api.data(GROUPS, {"first": 2, "after": cursor}))["groups"]
    assert [node["displayName"] for node in page["nodes"]] == ["Yksi"]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (False, True)
    for filter_ in ({"kind": "INFORMAL"}, {"search": "k"}):
        assert await api.code(GROUPS, {"after": cursor, "filter": filter_}) == "BAD_USER_INPUT"


async def test_groups_are_found_by_kind_and_any_part_of_the_name(api: Api) -> None:
    anna = await person(api, "Anna")
    await created(api, anna, "Sörvikin kyläyhdistys", kind="REGISTERED")
    await created(api, anna, "100%_talkoot")
    assert await names(api, kind="REGISTERED") == ["Sörvikin kyläyhdistys"]
    assert await names(api, search=" KYLÄ") == ["Sörvikin kyläyhdistys"]
    assert await names(api, search="so\N{COMBINING DIAERESIS}rv") == ["Sörvikin kyläyhdistys"]
    assert await names(api, search="kylä", kind="INFORMAL") == []
    assert await names(api, search="%") == ["100%_talkoot"]
    assert await names(api, search="_") == ["100%_talkoot"]
    assert await names(api, search="\\") == []
    assert await names(api, search=" ") == ["100%_talkoot", "Sörvikin kyläyhdistys"]
    assert await api.code(GROUPS, {"filter": {"search": "a" * 201}}) == "BAD_USER_INPUT"


async def test_a_viewer_lists_the_groups_they_are_in_or_asked_to_join(api: Api) -> None:
    anna, ben = await people(api, "Anna", "Ben")
    first, second = await created(api, anna, "Yksi"), await created(api, anna, "Kaksi", approvesMembers=True)
    await created(api, anna, "Kolme")
    await join(api, ben, second)
    await join(api, ben, first)
    page = (await api.data(VIEWER_GROUPS, token=ben.token))["viewer"]["groups"]
    assert page["nodes"] == [{"displayName": "Kaksi", "viewerRole": "PENDING"}]
    cursor = page["pageInfo"]["endCursor"]
    page = (await api.data(VIEWER_GROUPS, {"after": cursor}, token=ben.token))["viewer"]["groups"]
    assert page["nodes"] == [{"displayName": "Yksi", "viewerRole": "MEMBER"}]
    assert page["pageInfo"]["hasNextPage"] is False
    assert await api.code(VIEWER_GROUPS, {"after": cursor}, token=anna.token) == "BAD_USER_INPUT"


async def test_a_group_has_the_ideas_thrown_in_its_name(api: Api) -> None:
    anna = await person(api, "Anna")
    group, other = await created(api, anna), await created(api, anna, "Muu")
    for title in ("Penkki", "Laituri", "Grilli"):
        await api.idea(token=anna.token, title=title, groupId=group)
    await api.idea(token=anna.token, title="Muuta", groupId=other)

    async def ideas(**page: object) -> Json:
        found: Json = (await api.data(GROUP_IDEAS, {"id": group, **page}))["node"]["ideas"]
        return found

    owner = {"displayName": "Rantaraitti"}
    assert (await ideas())["nodes"] == [
        {"title": title, "author": owner, "groups": [owner]} for title in ("Grilli", "Laituri", "Penkki")
    ]
    page = await ideas(orderBy="OLDEST", first=2)
    assert [node["title"] for node in page["nodes"]] == ["Penkki", "Laituri"]
    cursor = page["pageInfo"]["endCursor"]
    page = await ideas(orderBy="OLDEST", first=2, after=cursor)
    assert ([node["title"] for node in page["nodes"]], page["pageInfo"]["hasNextPage"]) == (["Grilli"], False)
    assert await api.code(GROUP_IDEAS, {"id": group, "after": cursor}) == "BAD_USER_INPUT"
