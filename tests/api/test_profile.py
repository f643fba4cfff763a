from typing import Any
from uuid import uuid4

import pytest

from backend.ids import parse_id
from tests.conftest import Api
from tests.contents import contents

pytestmark = pytest.mark.anyio

REFUSED = [{"code": "INVALID", "field": ["input", "displayName"]}]
PROFILE = "viewer { locale resident { id displayName } }"


async def change(api: Api, token: str, **input: str | None) -> dict[str, Any]:  # Any: JSON
    return await api.mutate("updateProfile", input, PROFILE, token=token)


@pytest.mark.parametrize("name", ["Ilolan kunta", "Mоderaattori", "Helmi Aallonharja", "Mai\u202eja"])
async def test_c6_a_name_that_imitates_is_refused_wherever_one_is_given(api: Api, name: str) -> None:
    token = await api.token()
    before = await contents(api.conn)
    key = {"idempotencyKey": str(uuid4())}
    registered = await api.mutate("registerDevice", {"locale": "fi", "displayName": name, **key}, "accessToken")
    assert registered == {"accessToken": None, "errors": REFUSED}
    founded = await api.mutate(
        "createGroup", {"displayName": name, "kind": "INFORMAL", **key}, "__typename", token=token
    )
    assert founded["errors"] == REFUSED
    assert await change(api, token, displayName=name) == {"viewer": None, "errors": REFUSED}
    assert await contents(api.conn) == before


async def test_a_name_and_a_language_change_alone_or_together_and_others_see_the_name(api: Api) -> None:
    token = await api.token()
    first = (await change(api, token))["viewer"]
    named = (await change(api, token, displayName="  Aino A.  "))["viewer"]
    assert named == {"locale": "fi", "resident": {"id": first["resident"]["id"], "displayName": "Aino A."}}
    assert (await change(api, token, locale="sv", displayName=None))["viewer"] == named | {"locale": "sv"}
    query = "query ($id: ID!) { node(id: $id) { ... on Resident { displayName } } }"
    seen = await api.data(query, {"id": named["resident"]["id"]})
    assert seen == {"node": {"displayName": "Aino A."}}
    told = "SELECT count(*) FROM public_changes WHERE kind = 'RESIDENT' AND subject_id = $1"
    assert await api.conn.fetchval(told, parse_id(named["resident"]["id"])[1]) == 1


async def test_a_name_is_neither_blank_nor_long(api: Api) -> None:
    token = await api.token()
    before = await contents(api.conn)
    for name, code in ((" ", "REQUIRED"), ("a" * 61, "TOO_LONG")):
        assert (await change(api, token, displayName=name))["errors"] == [
            {"code": code, "field": ["input", "displayName"]}
        ]
    assert await contents(api.conn) == before


async def test_staff_may_say_what_they_are_and_officials_are_called_what_they_are(api: Api) -> None:
    assert (await change(api, await api.token("ADMINISTRATOR"), displayName="Ilolan ylläpitäjä"))["errors"] == []
    official, moderator = await api.token("OFFICIAL"), await api.token("MODERATOR")
    who = (await api.data("{ viewer { official { id } } }", token=official))["viewer"]["official"]["id"]
    await api.conn.execute("UPDATE officials SET name = 'Aino Uusi' WHERE id = $1", parse_id(who)[1])
    await api.app.state.pipeline.gate.services.catalogues.get(api.catalogue.id, fresh=True)
    assert (await change(api, official, displayName="Aino Uusi"))["errors"] == []
    assert (await change(api, moderator, displayName="Uusi Aino"))["errors"] == REFUSED
