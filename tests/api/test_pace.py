"""How often somebody may register, ask for codes, throw ideas and found groups, through the API."""

from uuid import uuid4

import pytest

from backend.settings import Settings, Switch
from tests.conftest import Api, Json

pytestmark = pytest.mark.anyio

IDEA = "mutation ($input: SubmitIdeaInput!) { submitIdea(input: $input) { idea { id } errors { code } } }"
DEVICE = "mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { accessToken errors { code } } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Limits switched on."""
    return settings.model_copy(update={"rate_limits": Switch.ON})


def idea() -> Json:
    return {"input": {"title": "Penkki", "locale": "fi", "idempotencyKey": str(uuid4())}}


async def test_the_sixth_idea_within_an_hour_waits_and_leaves_no_trace(api: Api) -> None:
    token, sent = await api.token(), [idea() for _ in range(6)]
    made = [(await api.data(IDEA, each, token=token))["submitIdea"]["idea"]["id"] for each in sent[:5]]
    refused = await api.post(IDEA, sent[5], token=token)
    [error] = refused.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 600 < error["extensions"]["retryAfter"] <= 720
    assert refused.headers["retry-after"] == str(error["extensions"]["retryAfter"])
    assert await api.conn.fetchval("SELECT count(*) FROM ideas") == 5
    assert await api.conn.fetchval("SELECT count(*) FROM idempotency_keys WHERE operation = 'submitIdea'") == 5
    # What was done is answered, however often it is asked again; and somebody else may.
    again = [(await api.data(IDEA, each, token=token))["submitIdea"]["idea"]["id"] for each in sent[:5]]
    assert again == made
    await api.idea()


async def test_an_idea_that_is_refused_for_what_it_says_is_not_counted(api: Api) -> None:
    token = await api.token()
    for _ in range(8):
        empty = {"input": {**idea()["input"], "title": " "}}
        assert (await api.data(IDEA, empty, token=token))["submitIdea"]["errors"] == [{"code": "REQUIRED"}]
    for _ in range(5):
        await api.idea(token=token)


async def test_a_class_registers_at_once_and_a_farm_of_accounts_does_not(api: Api) -> None:
    sent = [{"input": {"locale": "fi", "idempotencyKey": str(uuid4())}} for _ in range(61)]
    before = await api.conn.fetchval("SELECT count(*) FROM residents")
    for each in sent[:60]:
        assert (await api.data(DEVICE, each))["registerDevice"]["accessToken"]
    [error] = (await api.post(DEVICE, sent[60])).json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfter"] <= 30
    assert await api.conn.fetchval("SELECT count(*) FROM residents") == before + 60
    assert (await api.data(DEVICE, sent[0]))["registerDevice"]["accessToken"]


async def test_a_network_founds_thirty_groups_at_once(api: Api) -> None:
    for number in range(31):
        group = {"displayName": f"Kerho {number}", "kind": "INFORMAL", "idempotencyKey": str(uuid4())}
        query = "mutation ($input: CreateGroupInput!) { createGroup(input: $input) { errors { code } } }"
        answer = (await api.post(query, {"input": group}, token=await api.token())).json()
        refused = answer.get("errors", [{}])[0].get("extensions", {}).get("code")
        assert refused == ("RATE_LIMITED" if number == 30 else None)
    assert await api.conn.fetchval("SELECT count(*) FROM groups") == 30


async def test_a_municipality_that_lifts_limits_counts_nothing(api: Api) -> None:
    await api.conn.execute("UPDATE municipalities SET rate_limits_lifted = true")
    token = await api.token()
    for _ in range(7):
        await api.idea(token=token)


async def test_a_code_for_an_account_is_one_of_its_network(api: Api) -> None:
    query = "mutation ($input: RequestEmailCodeInput!) { requestEmailCode(input: $input) { errors { code } } }"
    for number in range(51):
        if number % 5 == 0:
            token = await api.token()
        asked = {"input": {"email": f"a{number}@example.fi", "locale": "fi"}}
        answer = (await api.post(query, asked, token=token)).json()
        refused = answer.get("errors", [{}])[0].get("extensions", {}).get("code")
        assert refused == ("RATE_LIMITED" if number == 50 else None), number
    assert await api.conn.fetchval("SELECT count(*) FROM email_challenges") == 50
