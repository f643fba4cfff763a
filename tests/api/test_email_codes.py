"""Signing in by e-mail: what a code opens, what it doesn't, and that nothing tells whose address is known."""

import asyncio
import string
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.auth.email_codes import hash_code, read_code
from backend.errors import Refusal
from backend.resolvers.email_codes import normal_email
from backend.settings import load_settings
from tests.api.test_sign_in import device
from tests.conftest import OTHER, Api
from tests.contents import contents
from tests.mails import CodeMail, code_mails

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know
SESSION = "accessToken viewer { strength emails resident { id } }"
REFUSED = [{"code": "INVALID", "field": ["input", "code"]}]
SECRET = load_settings(secret_key="s" * 32).secret_key


async def requested(api: Api, email: str = "aino@example.fi", *, token: str = "") -> tuple[str, CodeMail]:
    """A challenge and what was mailed for it."""
    made = await api.mutate("requestEmailCode", {"email": email, "locale": "fi"}, "challengeId expiresAt", token=token)
    assert made["errors"] == []
    return made["challengeId"], (await code_mails(api.conn, api.settings))[-1]


async def confirmed(api: Api, challenge: str, code: str, *, token: str = "", **headers: str) -> Json:
    asked = {"challengeId": challenge, "code": code}
    return await api.mutate("confirmEmailCode", asked, SESSION, token=token, **headers)


async def signed_in(api: Api, email: str = "aino@example.fi", *, token: str = "") -> Json:
    challenge, mail = await requested(api, email, token=token)
    payload = await confirmed(api, challenge, mail.code, token=token)
    assert payload["errors"] == []
    return payload


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_a_device_raised_by_a_code_is_the_same_account_and_its_votes_count(api: Api) -> None:
    await api.conn.execute("UPDATE municipalities SET vote_strength = 'EMAIL' WHERE slug = 'ilola'")
    idea = await api.idea()
    token, id = await device(api)
    assert (await api.set_vote(idea, token=token))["idea"]["voteCount"] == 0
    payload = await signed_in(api, token=token)
    assert payload["viewer"]["strength"] == "EMAIL"
    assert payload["viewer"]["emails"] == ["aino@example.fi"]
    seen = "query ($id: ID!) { node(id: $id) { ... on Idea { voteCount viewerVote { counts } } } }"
    told = await api.data(seen, {"id": idea}, token=payload["accessToken"])
    assert told["node"] == {"voteCount": 1, "viewerVote": {"counts": True}}
    assert await api.conn.fetchval("SELECT count(*) FROM residents WHERE joined_into_id IS NOT NULL") == 0
    assert await api.conn.fetchval("SELECT resident_id FROM identities") == id


async def test_the_link_signs_in_as_the_code_does_and_uses_both_up(api: Api) -> None:
    challenge, mail = await requested(api)
    payload = await api.mutate("confirmEmailLink", {"secret": mail.secret}, SESSION)
    assert payload["viewer"]["emails"] == ["aino@example.fi"]
    assert (await confirmed(api, challenge, mail.code))["errors"] == REFUSED
    again = await api.mutate("confirmEmailLink", {"secret": mail.secret}, SESSION)
    assert again["errors"] == [{"code": "INVALID", "field": ["input", "secret"]}]
    assert await api.conn.fetchval("SELECT count(*) FROM identities") == 1


async def test_a_code_is_good_once_also_for_two_who_send_it_at_the_same_moment(api: Api) -> None:
    challenge, mail = await requested(api)
    payloads = await asyncio.gather(*(confirmed(api, challenge, mail.code) for _ in range(4)))
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1, 1, 1]
    assert await api.conn.fetchval("SELECT count(*) FROM email_challenges") == 0


async def test_the_fifth_wrong_try_is_the_last(api: Api) -> None:
    challenge, mail = await requested(api)
    for _ in range(5):
        assert (await confirmed(api, challenge, another(mail.code)))["errors"] == REFUSED
    assert (await confirmed(api, challenge, mail.code))["errors"] == REFUSED
    assert await api.conn.fetchval("SELECT tries FROM email_challenges") == 5
    assert await api.conn.fetchval("SELECT count(*) FROM identities") == 0


async def test_parallel_guesses_have_five_tries_together(api: Api) -> None:
    challenge, mail = await requested(api)
    asked = {"c": challenge, "k": another(mail.code)}
    await asyncio.gather(*(api.post(CONFIRM, asked) for _ in range(12)))
    assert await api.conn.fetchval("SELECT tries FROM email_challenges") == 5
    assert (await confirmed(api, challenge, mail.code))["errors"] == REFUSED


async def test_wrong_ended_used_and_unknown_are_told_alike(api: Api) -> None:
    challenge, mail = await requested(api)
    told = [await api.post(CONFIRM, {"c": challenge, "k": another(mail.code)})]
    told.append(await api.post(CONFIRM, {"c": str(uuid4()), "k": mail.code}))
    told.append(await api.post(CONFIRM, {"c": "ei mikään", "k": mail.code}))
    told.append(await api.post(CONFIRM, {"c": challenge, "k": mail.code}, heitto_municipality=OTHER))
    await api.conn.execute("UPDATE email_challenges SET expires_at = now()")
    told.append(await api.post(CONFIRM, {"c": challenge, "k": mail.code}))
    newer, second = await requested(api)
    told.append(await api.post(CONFIRM, {"c": challenge, "k": mail.code}))
    await confirmed(api, newer, second.code)
    told.append(await api.post(CONFIRM, {"c": newer, "k": second.code}))
    assert len({answer.text for answer in told}) == 1
    assert "INVALID" in told[0].text


CONFIRM = """mutation ($c: String!, $k: String!) {
  confirmEmailCode(input: {challengeId: $c, code: $k}) { accessToken errors { code message field } }
}"""


async def test_a_newer_code_ends_the_older_one_of_the_address_and_no_other(api: Api) -> None:
    first, mail = await requested(api)
    elsewhere, other_mail = await requested(api, "bertta@example.fi")
    await requested(api, " AINO@Example.FI ")
    assert (await confirmed(api, first, mail.code))["errors"] == REFUSED
    assert (await confirmed(api, elsewhere, other_mail.code))["errors"] == []


async def test_a_code_is_for_a_request_just_as_signed_in_as_the_one_that_asked(api: Api) -> None:
    """Else a link that somebody had mailed to themselves would give them the account of whoever opens it."""
    (mine, _), (theirs, _) = await device(api), await device(api)
    for asking, confirming in ((mine, theirs), (mine, ""), ("", theirs)):
        challenge, mail = await requested(api, token=asking)
        before = await contents(api.conn)
        assert (await confirmed(api, challenge, mail.code, token=confirming))["errors"] == REFUSED
        opened = await api.mutate("confirmEmailLink", {"secret": mail.secret}, SESSION, token=confirming)
        assert opened["errors"] == [{"code": "INVALID", "field": ["input", "secret"]}]
        assert await contents(api.conn) == before
        assert (await confirmed(api, challenge, mail.code, token=asking))["errors"] == []


async def test_a_known_address_is_answered_counted_and_mailed_as_an_unknown_one(api: Api) -> None:
    await signed_in(api, "aino@example.fi")
    rows = []
    for email in ("aino@example.fi", "tuntematon@example.fi"):
        asked = {"email": email, "locale": "fi"}
        answer = await api.mutate("requestEmailCode", asked, "expiresAt")
        ends = datetime.fromisoformat(answer.pop("expiresAt"))
        assert timedelta(minutes=14) < ends - datetime.now(UTC) <= timedelta(minutes=15)
        mail = (await code_mails(api.conn, api.settings))[-1]
        assert mail.to == email
        rows.append((answer, mail.text.replace(mail.code, "").replace(mail.secret, "")))
    assert rows[0] == rows[1]


async def test_an_address_is_one_however_it_is_written(api: Api) -> None:
    first = await signed_in(api, "Aino.Äijä@ÄSSÄ.example".replace("Äijä", "Aija"))
    second = await signed_in(api, "  aino.aija@ässä.EXAMPLE\n")
    assert first["viewer"]["resident"] == second["viewer"]["resident"]
    assert second["viewer"]["emails"] == ["aino.aija@xn--ss-uiac.example"]


@pytest.mark.parametrize(
    "text",
    [
        "aino",
        "@example.fi",
        "aino@",
        "aino@localhost",
        "aino@example.fi\r\nBcc: kaikki@example.fi",
        "aino@example.fi, bertta@example.fi",
        "Aino <aino@example.fi>",
        '"a b"@example.fi',
        "aino@[127.0.0.1]",
        "aino@-example.fi",
        "a" * 65 + "@example.fi",
        "aino@" + "a" * 250 + ".fi",
        "aino\x00@example.fi",
        "äijä@example.fi",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        normal_email(text)


async def test_codes_secrets_and_addresses_are_readable_nowhere(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    challenge, mail = await requested(api, "kanarialintu@example.fi")
    await confirmed(api, challenge, another(mail.code))
    found = []
    for (table,) in await api.conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        # A table's name, as the catalogue has it.
        for (row,) in await api.conn.fetch(f'SELECT t::text FROM "{table}" AS t'):  # noqa: S608
            # Payloads of jobs are shown as hexadecimal.
            found += [
                (table, word)
                for word in (mail.code, mail.secret, "kanarialintu")
                if (word in row and word != mail.code) or word.encode().hex() in row
            ]
    assert found == []
    metrics = await api.client.get("/metrics")
    said = capfd.readouterr()
    for text in (said.out, said.err, metrics.text):
        assert "kanarialintu" not in text and mail.secret not in text


async def test_what_nobody_confirmed_is_forgotten(api: Api) -> None:
    from backend.jobs.prune import prune

    await requested(api)
    await api.conn.execute("UPDATE email_challenges SET expires_at = now() - interval '1 second'")
    await prune(api.app.state.pipeline.gate.services.pool, api.settings)()
    assert await api.conn.fetchval("SELECT count(*) FROM email_challenges") == 0


@given(st.text(max_size=12))
def test_a_code_is_six_digits_whatever_is_typed_around_them(typed: str) -> None:
    code = read_code(typed)
    digits = "".join(each for each in typed if not each.isspace())
    assert code == (digits if len(digits) == 6 and set(digits) <= set(string.digits) else None)


@given(st.integers(0, 999_999), st.integers(0, 999_999), st.uuids(), st.uuids())
def test_a_hash_is_of_one_code_and_one_challenge(first: int, second: int, here: object, there: object) -> None:
    hashes = {
        (code, challenge): hash_code(SECRET, challenge_id=challenge, code=f"{code:06d}")  # type: ignore[arg-type] # uuids
        for code in (first, second)
        for challenge in (here, there)
    }
    assert len(set(hashes.values())) == len(hashes)


async def test_no_guess_but_the_code_opens_anything(api: Api) -> None:
    """Whatever is sent as a code: refused alike, never counted as another's, never an error."""
    loop, seen = asyncio.get_running_loop(), 0

    challenge, mail = await requested(api)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.text(max_size=40), st.integers(0, 999_999).map("{:06d}".format)))
    def guess(typed: str) -> None:
        nonlocal seen
        if read_code(typed) != mail.code:
            asyncio.run_coroutine_threadsafe(tried(typed), loop).result(20)
            seen += 1

    async def tried(typed: str) -> None:
        answer = (await api.post(CONFIRM, {"c": challenge, "k": typed})).json()
        if "data" in answer:  # else BAD_USER_INPUT: no text that could be stored
            [error] = answer["data"]["confirmEmailCode"]["errors"]
            assert error["code"] in {"INVALID", "REQUIRED", "TOO_LONG"}
        else:
            assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"

    await asyncio.to_thread(guess)
    assert seen > 30
    assert await api.conn.fetchval("SELECT tries FROM email_challenges") <= 5
    assert await api.conn.fetchval("SELECT count(*) FROM identities") == 0
