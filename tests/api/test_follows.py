"""Following ideas."""

import asyncio

import pytest

from backend.ids import global_id
from tests.conftest import Api, Json

pytestmark = pytest.mark.anyio

FOLLOWS = """query ($first: Int, $after: String) { viewer { follows(first: $first, after: $after) {
  edges { followedAt node { id viewerFollows } } pageInfo { hasNextPage endCursor } } } }"""


async def set_follow(api: Api, subject_id: str, *, token: str, following: bool = True) -> Json:
    asked = {"subjectId": subject_id, "following": following}
    return await api.mutate("setFollow", asked, "subject { id viewerFollows }", token=token)


async def followed(api: Api, *, token: str) -> list[str]:
    """All pages, two at a time."""
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await api.data(FOLLOWS, {"first": 2, "after": after}, token=token))["viewer"]["follows"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return seen


async def test_following_and_ending_it_are_told_at_once(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    assert (await set_follow(api, idea_id, token=token))["subject"] == {"id": idea_id, "viewerFollows": True}
    ended = await set_follow(api, idea_id, token=token, following=False)
    assert ended == {"subject": {"id": idea_id, "viewerFollows": False}, "errors": []}


async def test_repeating_changes_nothing(api: Api) -> None:
    idea_id, token = await api.idea(), await api.token()
    await asyncio.gather(*(set_follow(api, idea_id, token=token) for _ in range(10)))
    [edge] = (await api.data(FOLLOWS, token=token))["viewer"]["follows"]["edges"]
    await set_follow(api, idea_id, token=token)
    assert (await api.data(FOLLOWS, token=token))["viewer"]["follows"]["edges"] == [edge]
    for _ in range(2):
        assert (await set_follow(api, idea_id, token=token, following=False))["errors"] == []
    assert await followed(api, token=token) == []


async def test_who_throws_an_idea_follows_it(api: Api) -> None:
    token = await api.token()
    idea_id = await api.idea(token=token)
    assert await followed(api, token=token) == [idea_id]


async def test_follows_are_paged_newest_first(api: Api) -> None:
    token, ideas = await api.token(), [await api.idea() for _ in range(5)]
    for idea_id in (*ideas[2:], *ideas[:2]):
        await set_follow(api, idea_id, token=token)
    assert await followed(api, token=token) == [ideas[1], ideas[0], ideas[4], ideas[3], ideas[2]]


async def test_follows_of_the_same_moment_are_all_listed(api: Api) -> None:
    token, ideas = await api.token(), [await api.idea() for _ in range(5)]
    for idea_id in ideas:
        await set_follow(api, idea_id, token=token)
    await api.conn.execute("UPDATE follows SET followed_at = '2026-03-01T12:00:00.123Z'")
    assert await followed(api, token=token) == ideas[::-1]


async def test_only_what_the_caller_may_see_can_be_followed(api: Api) -> None:
    token, hidden = await api.token(), await api.idea()
    await set_follow(api, hidden, token=token)
    reason = {"ideaId": hidden, "reason": "Solvaus"}
    await api.mutate("hideIdea", reason, "idea { id }", token=await api.token("MODERATOR"))
    assert await followed(api, token=token) == []
    stranger = await api.token(municipality="muula")
    theme = global_id("Theme", api.catalogue.general_theme.id)
    for subject_id, caller in ((hidden, token), (await api.idea(), stranger), (theme, token)):
        answer = await set_follow(api, subject_id, token=caller)
        assert answer == {"subject": None, "errors": [{"code": "NOT_FOUND", "field": ["input", "subjectId"]}]}


async def test_what_was_withdrawn_is_in_no_list(api: Api) -> None:
    token, author = await api.token(), await api.token()
    idea_id = await api.idea(token=author)
    await set_follow(api, idea_id, token=token)
    await api.mutate("withdrawIdea", {"ideaId": idea_id}, "idea { id }", token=author)
    assert await followed(api, token=token) == []


async def test_without_an_account_nobody_follows(api: Api) -> None:
    idea_id = await api.idea()
    query = "query ($id: ID!) { node(id: $id) { ... on Idea { viewerFollows } } }"
    assert (await api.data(query, {"id": idea_id}))["node"] == {"viewerFollows": False}
    mutation = "mutation ($input: SetFollowInput!) { setFollow(input: $input) { errors { code } } }"
    assert await api.code(mutation, {"input": {"subjectId": idea_id, "following": True}}) == "UNAUTHENTICATED"
