"""Promises E1, E2, E3: documents and payloads written to hurt end with their code, the same over every transport.

What they are is in `bench/hostile.py`; what they cost, `python -m bench.attacks` measures.
"""

import pytest

from backend.demo.load import SLUG
from bench.hostile import ATTACKS
from bench.transports import TRANSPORTS, expected, send
from tests.conftest import Api

pytestmark = pytest.mark.anyio

TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"


async def rows(api: Api) -> dict[str, int]:
    tables = [row[0] for row in await api.conn.fetch(TABLES)]
    return {table: await api.conn.fetchval(f'SELECT count(*) FROM "{table}"') for table in tables}  # noqa: S608 # ours


async def check(api: Api, promise: str) -> None:
    """Every attack of a promise over every transport, by nobody and by somebody: its code, and nothing changed."""
    token = await api.token()
    before, wrong, sent = await rows(api), [], 0
    for attack in ATTACKS:
        for transport in TRANSPORTS if attack.promise == promise else ():
            for headers in ({}, {"authorization": f"Bearer {token}"}):
                ended = await send(api.app, transport, attack, headers | {"heitto-municipality": SLUG})
                sent += ended is not None
                if ended and ended.code != expected(attack, transport):
                    wrong.append((attack.name, transport, bool(headers), ended.code, ended.body[:200]))
                if ended and (b"Traceback" in ended.body or len(ended.body) > 4_000):
                    wrong.append((attack.name, transport, False, "told too much", ended.body[:200]))
    assert wrong == []
    assert sent > 50
    assert await rows(api) == before


async def test_e1_a_document_written_to_hurt_is_refused_with_its_code_over_every_transport(api: Api) -> None:
    await check(api, "e1")


async def test_e2_batches_and_many_operations_are_refused_over_every_transport(api: Api) -> None:
    await check(api, "e2")


async def test_e3_what_surrounds_a_document_is_held_to_the_same_limits_everywhere(api: Api) -> None:
    await check(api, "e3")


async def test_e3_an_attack_does_not_keep_others_waiting_afterwards(api: Api) -> None:
    attack = next(each for each in ATTACKS if each.name == "a bomb of fragments")
    for transport in TRANSPORTS:
        await send(api.app, transport, attack, {})
    assert (await api.data("{ municipality { slug } }"))["municipality"]["slug"] == SLUG
