"""Whatever is sent to whatever takes input: a code of the contract, nothing changed, and no failure in the log."""

import logging
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import structlog
from graphql import (
    GraphQLInputType,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from backend import app as app_module
from backend.commands import mint_tokens
from backend.demo.load import SLUG
from backend.ids import global_id, parse_id
from backend.transport import answers
from tests.calls import Call, Json, Path, calls, is_nullable
from tests.conftest import Api
from tests.contents import contents
from tests.login.idp import LOA2, REDIRECT, Idp, Person
from tests.mails import code_mails
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

# The contract's, and those of HTTP that it gives as bare statuses.
CODES = {
    "GRAPHQL_PARSE_FAILED": 400,
    "GRAPHQL_VALIDATION_FAILED": 400,
    "BAD_USER_INPUT": 400,
    "QUERY_TOO_COMPLEX": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "WRONG_MUNICIPALITY": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
}
NOBODY = UUID(int=7)
# Done only with what an authenticator signs, or a mail of its own: tests/api/test_passkeys.py, test_invitations.py.
SIGNED = {"finishPasskeyRegistration", "finishPasskeyLogin", "acceptInvitation"}
HUGE = "ä" * 5_000_000  # 10 MB

# JSON as it is sent, since some of it is none. What stands in these places is refused, with a code or a user error.
NUMBERS = (
    "-1",
    "0",
    "101",
    "2147483648",
    "-2147483649",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "1.5",
    "7" * 5_000,
    '"1"',
    "true",
)
IDS = (
    '""',
    '"x"',
    '"ä"',
    '"%"',
    "0",
    "-1",
    "1e400",
    "7" * 5_000,
    '"' + "A" * 10_240 + '"',
    '"' + "QUFB" * 2_560 + '"',
    *(
        f'"{b64encode(raw).decode()}"'
        for raw in (
            b"",
            b":",
            b"Idea",
            b"Idea:",
            b"Idea:7",
            b"Idea:" + b"f" * 32,
            b"Idea:00000000-0000-0000-0000-000000000007\n",
            b"idea:00000000-0000-0000-0000-000000000007",
            b"Vote:00000000-0000-0000-0000-000000000007",
            b"Idea:{00000000-0000-0000-0000-000000000007}",
            b"Idea:00000000-0000-0000-0000-000000000007'; DROP TABLE votes; --",
            b"\xff\xfe\x00",
        )
    ),
    f'" {global_id("Idea", NOBODY)}"',
    f'"{global_id("Idea", NOBODY).rstrip("=")}"',
    f'"{global_id("Idea", NOBODY)}="',
)
UNSTORABLE = (r'"a\u0000b"', r'"\ud800"', r'"\udc00\ud800"', '"\ufffe"', r'"\uffff"', '"\ufdd0"', '"\U0010ffff"')
TIMES = (
    '""',
    '"today"',
    '"2036-01-01"',
    '"2036-01-01T00:00:00"',
    '"2036-13-01T00:00:00Z"',
    '"2036-01-01T25:00:00Z"',
    '"0000-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+23:59"',
    '"9999-12-31T23:59:59-23:59"',
    '"99999-01-01T00:00:00Z"',
    '"٢036-01-01T00:00:00Z"',
    "0",
    "1e400",
)
LOCALES = ('""', '"x"', '"finnish language"', '"fi_FI"', '"fi-"', '"-fi"', f'"{"a" * 40}"', '"fï"', "7")
FLOATS = ("181", "-181", "1e400", "-1e400", "NaN", "Infinity", "7" * 5_000, '"60"', "true", '"NaN"')
WRONG = ("[]", "{}", "[[]]", '{"a": {"b": []}}', "[null]", '[{"x": 1}]', '{"input": 1}')


def bad_values(type_: GraphQLInputType, path: Path) -> Iterator[str]:
    """What must not be taken at a place of a type, as JSON."""
    inner, name = get_nullable_type(type_), str(path[-1])
    if not is_nullable(type_):
        yield "null"
    if is_list_type(inner):
        yield from ("7", '"x"', "{}", "[[[]]]")
        return
    yield from UNSTORABLE
    yield from (each for each in WRONG if not (each == "{}" and is_input_object_type(inner)))
    if is_input_object_type(inner):
        yield from ("7", '"x"', '{"unknown": 1}', '{"__typename": "x"}', '{"": 1}', '{"\\u0000": 1}')
        return
    if is_enum_type(inner):
        yield from ('"NOTHING"', '""', '"newest"', "7", "true", f'"{"A" * 10_240}"')
        return
    scalar = get_named_type(inner).name
    if name in {"after", "before"}:
        yield from (*IDS, *cursors(), "7")
    elif scalar == "String":
        yield from ("7", "1.5", "true", "1e400")
        if name not in {"search", "text"}:
            yield f'"{"x" * 100_000}"'
        if name in {"idempotencyKey", "refreshToken"}:
            yield from ('""', '"x"', '"ääääääääääääääääääääääää"', '"' + "1 " * 20 + '"')
    else:
        yield from {
            "ID": IDS,
            "Int": NUMBERS,
            "Float": FLOATS,
            "Boolean": ("0", "1", '"true"', '""'),
            "DateTime": TIMES,
            "Locale": LOCALES,
        }[scalar]


def cursors() -> Iterator[str]:
    """Ones that no list gave out; those of other lists are in a test of their own."""
    for size in (1, 24, 33, 34, 35):
        for byte in (b"\x00", b"\xff"):
            yield f'"{b64encode(byte * size).decode().rstrip("=")}"'


@dataclass
class World:
    """The application, who may do everything in it, and ids of what is there."""

    api: Api
    token: str
    log: CapturingLogger
    records: pytest.LogCaptureFixture
    person: Person
    ids: dict[str, str] = field(default_factory=dict)

    async def renew(self) -> None:
        """Objects of the caller that nothing was done to yet."""
        api, token = self.api, self.token
        idea = await api.idea(token=token)
        asked = {"displayName": "Naapurit", "kind": "REGISTERED", "idempotencyKey": str(uuid4())}
        made = await api.mutate("createGroup", asked, "group { id }", token=token)
        group, applicant = made["group"]["id"], await api.token()
        await api.mutate("joinGroup", {"groupId": group}, "group { id }", token=applicant)
        who = await api.data("{ viewer { resident { id } } }", token=applicant)
        notification = await api.conn.fetchval(
            """
            INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id)
            SELECT municipality_id, author_id, gen_random_uuid(), 'STATUS_CHANGED', id FROM ideas WHERE id = $1
            RETURNING id
            """,
            parse_id(idea)[1],
        )
        passkey = await api.conn.fetchval(
            """
            INSERT INTO passkeys (municipality_id, resident_id, credential_hash, public_key, sign_count, name)
            SELECT municipality_id, author_id, sha256(id::text::bytea), '', 0, 'Avain' FROM ideas WHERE id = $1
            RETURNING id
            """,
            parse_id(idea)[1],
        )
        asked = {"email": "eero@example.fi", "role": "MODERATOR", "locale": "fi", "idempotencyKey": str(uuid4())}
        invited = await api.mutate("inviteStaff", asked, "invitation { id }", token=token)
        session = await api.mutate(
            "registerDevice", {"locale": "fi", "idempotencyKey": str(uuid4())}, "refreshToken", token=token
        )
        asked = {"email": f"{uuid4().hex}@example.fi", "locale": "fi"}
        challenge = await api.mutate("requestEmailCode", asked, "challengeId", token=token)
        mail = (await code_mails(api.conn, api.settings))[-1]
        another = await api.conn.fetchval(
            """
            INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at)
            SELECT municipality_id, author_id, '', now(), now() + interval '90 days' FROM ideas WHERE id = $1
            RETURNING id
            """,
            parse_id(idea)[1],
        )
        login = await self.person.code(token=token)
        catalogue = api.catalogue
        self.ids = {
            **dict.fromkeys(("id", "ids", "Idea", "ideaId", "subjectId"), idea),
            **dict.fromkeys(("Group", "groupId"), group),
            "residentId": who["viewer"]["resident"]["id"],
            "upTo": global_id("Notification", notification),
            "districtId": global_id("District", next(iter(catalogue.districts))),
            "themeId": global_id("Theme", catalogue.general_theme.id),
            **dict.fromkeys(
                ("departmentId", "toDepartmentId"), global_id("Department", catalogue.general_theme.department_id)
            ),
            **dict.fromkeys(("responsibleId", "toOfficialId"), global_id("Official", catalogue.coordinator.id)),
            "refreshToken": session["refreshToken"],
            "providerId": "tunnus",
            "redirectUri": REDIRECT,
            **{f"CompleteLoginInput.{name}": text for name, text in login.items()},
            "origin": "https://ilola.example",
            "credential": "{}",
            "invitationId": invited["invitation"]["id"],
            "passkeyId": global_id("Passkey", passkey),
            "challengeId": challenge["challengeId"],
            "code": mail.code,
            "secret": mail.secret,
            **dict.fromkeys(("Session", "sessionId"), global_id("Session", another)),
            "role": "MODERATOR",  # the first value is what everybody is
        }

    async def send(self, call: Call, document: str, variables: str, **headers: str) -> tuple[int, bytes]:
        """Status and body of an operation whose variables are JSON, or nearly."""
        body = b'{"query":' + orjson.dumps(document) + b',"variables":' + variables.encode() + b"}"
        if call.kind == "subscription":
            return await self.stream(body)
        sent = {"content-type": "application/json", "authorization": f"Bearer {self.token}", **headers}
        answer = await self.api.client.post("/graphql", content=body, headers=sent)
        return answer.status_code, answer.content

    async def stream(self, body: bytes) -> tuple[int, bytes]:
        """The first event, in the clothes of an answer."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        async with Wire(self.api.app, "http", "/graphql/stream", headers, method="POST") as wire:
            wire.put({"type": "http.request", "body": body, "more_body": False})
            status, first = (await wire.take())["status"], (await wire.take())["body"]
        return status, first.removeprefix(b"event: next\ndata: ")

    def failures(self) -> list[str]:
        """What was logged as one."""
        ours = [str(each) for each in self.log.calls if each.method_name in {"error", "exception", "critical"}]
        return ours + [record.getMessage() for record in self.records.records if record.levelno >= logging.ERROR]


@pytest.fixture
async def world(
    api: Api, idp: Idp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[World]:
    log = CapturingLogger()
    for module in (answers, app_module):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(log, processors=[]))
    token = await api.token("OFFICIAL")
    me = (await api.data("{ viewer { resident { id } } }", token=token))["viewer"]["resident"]["id"]
    await api.conn.execute(
        """
        INSERT INTO resident_roles (municipality_id, resident_id, role)
        SELECT municipality_id, id, unnest('{MODERATOR,ADMINISTRATOR}'::role[]) FROM residents WHERE id = $1
        """,
        parse_id(me)[1],
    )
    [token] = await mint_tokens(
        api.settings, slug=SLUG, role="RESIDENT", strength="EMAIL", count=1, resident=me, department="", ttl=3600
    )
    await idp.person("somebody", acr=LOA2)
    await api.conn.execute("UPDATE residents SET display_name = 'Teksti' WHERE id = $1", parse_id(me)[1])
    await api.revocations_told()
    made = World(api, token, log, caplog, Person(api, idp))
    await made.renew()
    yield made
    assert made.failures() == []


def verdict(status: int, body: bytes, name: str) -> str:
    """refused, done, or what is wrong with an answer."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return f"{status} {body[:200]!r}"
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    if any(code not in CODES for code in codes):
        return f"codes {codes}"
    if codes and "data" not in answer:
        return "refused" if status in {200, *(CODES[code] for code in codes)} else f"{status} for {codes}"
    if codes:
        return "refused"
    payload = (answer["data"] or {}).get(name)
    return "refused" if isinstance(payload, dict) and payload.get("errors") else "done"


def may_be_done(call: Call, path: Path, raw: str) -> bool:
    """Where what looks bad is nothing wrong: `nodes` answers null to it, and one for a list is a list of one."""
    return call.name == "nodes" and path[0] == "ids" and raw.startswith(('"', "0", "-1", "7")) and raw not in UNSTORABLE


def as_json(call: Call, world: World, path: Path, raw: str) -> str:
    """Valid variables with something else, as it is, in one place."""
    mark = "\N{SNOWMAN}"
    variables = call.put(call.variables(world.ids), path, mark, world.ids)
    return orjson.dumps(variables).decode().replace(f'"{mark}"', raw)


def as_literal(call: Call, world: World, path: Path, raw: str) -> str:
    """The document with the same written into it."""
    mark = "\N{SNOWMAN}"
    variables = call.put(call.variables(world.ids), path, mark, world.ids)
    variables.pop("these", None)
    arguments = " ".join(f"{name}: {_literal(value, call.field.args[name].type)}" for name, value in variables.items())
    return call.literal(arguments).replace(f'"{mark}"', raw)


def _literal(value: Any, type_: GraphQLInputType) -> str:  # Any: JSON
    inner = get_nullable_type(type_)
    if isinstance(value, dict) and is_input_object_type(inner):
        return "{" + " ".join(f"{n}: {_literal(each, inner.fields[n].type)}" for n, each in value.items()) + "}"
    if isinstance(value, list) and is_list_type(inner):
        return "[" + " ".join(_literal(each, inner.of_type) for each in value) + "]"
    if is_enum_type(inner) and value != "\N{SNOWMAN}":
        return str(value)
    return orjson.dumps(value).decode()


CALLS = calls()


@pytest.mark.parametrize("kind", ["query", "mutation", "subscription"])
async def test_bad_values_are_refused_everywhere(world: World, kind: str) -> None:
    wrong, tried = [], 0
    for call in CALLS:
        if call.kind != kind:
            continue
        before = await contents(world.api.conn)
        for path, type_ in call.places():
            for raw in bad_values(type_, path):
                tried += 1
                found = verdict(*await world.send(call, call.document, as_json(call, world, path, raw)), call.name)
                if found != "refused" and not (found == "done" and may_be_done(call, path, raw)):
                    wrong.append(f"{call.place} {path} {raw[:60]}: {found}")
                if len(raw) < 200 and "these" not in call.variables(world.ids):
                    found = verdict(*await world.send(call, as_literal(call, world, path, raw), "{}"), call.name)
                    if found not in {"refused", "done"}:
                        wrong.append(f"{call.place} {path} {raw[:60]} in the document: {found}")
        if await contents(world.api.conn) != before:
            wrong.append(f"{call.place} changed something")
    assert wrong == []
    assert tried > {"query": 1_500, "mutation": 1_500, "subscription": 150}[kind]


@pytest.mark.parametrize("kind", ["query", "mutation", "subscription"])
async def test_the_same_calls_without_anything_bad_are_done(world: World, kind: str) -> None:
    """Else the test above would show nothing."""
    for call in CALLS:
        if call.kind == kind and call.name not in SIGNED:
            await world.renew()
            variables = orjson.dumps(call.variables(world.ids)).decode()
            status, body = await world.send(call, call.document, variables)
            assert verdict(status, body, call.name) == "done", f"{call.place}: {body!r}"


async def test_ten_megabytes_are_not_read(world: World) -> None:
    before = await contents(world.api.conn)
    for call in CALLS:
        for path, type_ in call.places():
            if get_named_type(type_).name in {"String", "ID"} and not is_list_type(get_nullable_type(type_)):
                status, body = await world.send(call, call.document, as_json(call, world, path, f'"{HUGE}"'))
                assert status == 413, f"{call.place} {path}"
                assert verdict(status, body, call.name) == "refused"
                break
    assert await contents(world.api.conn) == before


async def test_unknown_fields_and_arguments_are_refused_everywhere(world: World) -> None:
    before = await contents(world.api.conn)
    for call in CALLS:
        variables = orjson.dumps(call.variables(world.ids)).decode()
        for document in (
            call.document.replace(f"{call.name}(", f"{call.name}(unknown: 1 ", 1),
            call.document.replace("__typename", "unknown", 1),
            call.document.replace(f"{call.name}(", "unknown(", 1),
            call.document.replace("{ __typename", "@unknown { __typename", 1),
            call.document.replace("{ __typename", "{ ...unknown", 1),
            call.document[:-1],
            call.document + "\0",
            call.document + "\ufffe",
        ):
            assert document != call.document
            assert verdict(*await world.send(call, document, variables), call.name) == "refused", document
        for payload in ('{"unknown": 1}', "[]", '"x"', "7", "{", "", "\0", "[" * 100_000):
            status, body = await world.send(call, call.document, payload)
            required = call.variables(world.ids)
            assert verdict(status, body, call.name) == ("refused" if required or payload[:2] != '{"' else "done")
    assert await contents(world.api.conn) == before


async def test_e9_a_cursor_is_good_for_its_own_list_alone(world: World) -> None:
    for _ in range(3):
        await world.renew()
    paged = [call for call in CALLS if "after" in call.field.args]
    assert len(paged) >= 11
    page = " { pageInfo { endCursor } }"
    given: dict[str, str] = {}
    for call in paged:
        variables = call.put(call.variables(world.ids), ("first",), 1, world.ids)
        document = call.document.replace(" { __typename }", page)
        status, body = await world.send(call, document, orjson.dumps(variables).decode())
        assert verdict(status, body, call.name) == "done", body
        found: Any = orjson.loads(body)["data"]  # Any: JSON
        while "endCursor" not in found:
            found = found[0] if isinstance(found, list) else next(iter(found.values()))
        if found["endCursor"]:
            given[call.place] = found["endCursor"]
    assert len(given) >= 7
    for call in paged:
        own = given.get(call.place, "")
        others = [cursor for place, cursor in given.items() if place != call.place]
        tampered = [own[:-1], own[1:], own + "A", own[:10] + ("A" if own[10] != "A" else "B") + own[11:]] if own else []
        for cursor in (*others, *tampered):
            for argument in {"after", "before"} & call.field.args.keys():
                variables = call.put(call.variables(world.ids), (argument,), cursor, world.ids)
                status, body = await world.send(call, call.document, orjson.dumps(variables).decode())
                assert verdict(status, body, call.name) == "refused", f"{call.place} {argument} {cursor}"
                assert b"BAD_USER_INPUT" in body
    ideas = next(call for call in paged if call.place == "Query.ideas")
    for changed in ({"orderBy": "OLDEST"}, {"orderBy": "DUE_FIRST"}, {"filter": {"overdue": False}}):
        variables = ideas.variables(world.ids) | {"after": given[ideas.place]} | changed
        assert verdict(*await world.send(ideas, ideas.document, orjson.dumps(variables).decode()), "ideas") == "refused"
    again = ideas.variables(world.ids) | {"after": given[ideas.place]}
    assert verdict(*await world.send(ideas, ideas.document, orjson.dumps(again).decode()), "ideas") == "done"


BYTES = (
    b"",
    b"\xff",
    b"\x00",
    b"a\x00b",
    b"\xe4\xf6",
    b"\t",
    b"%00",
    b"'; DROP TABLE votes; --",
    b"x" * 9_000,
    b"\xc2\xb2",
)
ODD_HEADERS: dict[bytes, tuple[bytes, ...]] = {
    b"authorization": (
        *BYTES,
        b"Bearer",
        b"Bearer ",
        b"Bearer \xff",
        b"Bearer a.b.c",
        b"Bearer " + b"a" * 9_000,
        b"Bearer .." + b"." * 50,
        b"Basic eDp5",
        b"Bearer eyJhbGciOiJub25lIn0.e30.",
        b"Bearer W10.W10.W10",
    ),
    b"accept": (*BYTES, b"text/plain", b"*/*;q=nan", b"*/*;q=", b"application/json;q=1e999", b",;,;q=1", b"a/" * 900),
    b"accept-language": (*BYTES, b"fi;q=nan", b"fi;q=1e999", b"*;q=-1", b"sv;;q=,,,;", b"en-" * 3_000, b"\xb2;q=\xb2"),
    b"accept-encoding": (*BYTES, b"gzip;q=nan", b"nothing"),
    b"heitto-municipality": (*BYTES, b"ILOLA", b"ilola ", b"ilola,muula", b"../ilola", b"nowhere"),
    b"host": (*BYTES, b"ilola:port", b"[::1", b"heitto.test:99999", b"a" * 300, b"@", b"heitto.test, muula"),
    b"x-forwarded-for": (*BYTES, b"1.2.3.4, x", b"[::1]:x", b"," * 500, b"999.999.999.999", b"::ffff:1.2.3.4%eth0"),
    b"x-request-id": (*BYTES, b"a\nb: c", b"x" * 65, b"{}"),
    b"content-type": (
        *BYTES,
        b"text/plain",
        b"application/json; charset=latin-1",
        b"application/jsonx",
        b"multipart/x",
    ),
    b"content-encoding": (*BYTES, b"gzip", b"identity, gzip"),
    b"content-length": (b"", b"-1", b"x", b"\xb2", b"9" * 500, b"1e3", b"0"),
    b"if-none-match": (*BYTES, b'"x', b"*", b'W/"x", "y"'),
    b"origin": (*BYTES, b"null", b"http://[", b"https://a:b"),
}


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
async def test_odd_headers_are_refused_or_do_no_harm(world: World, path: str) -> None:
    before, body = (
        await contents(world.api.conn),
        orjson.dumps({"query": "{ municipality { id } ideas { nodes { id } } }"}),
    )
    plain = {b"host": b"heitto.test", b"content-type": b"application/json", b"accept": b"*/*"}
    odd = [(name, value) for name, values in ODD_HEADERS.items() for value in values]
    sent = [list((plain | {name: value}).items()) for name, value in odd]
    token = b"Bearer " + world.token.encode()
    sent += [[*plain.items(), (b"authorization", token), (b"authorization", token)]]
    sent += [[*plain.items(), *[(b"heitto-municipality", b"x")] * 50], [*plain.items(), (b"\xff", b"\xff")], []]
    refused = 0
    for headers in sent:
        async with Wire(world.api.app, "http", path, method="POST") as wire:
            wire.scope["headers"] = headers
            wire.put({"type": "http.request", "body": body, "more_body": False})
            start, content = await wire.take(), (await wire.take())["body"]
        answered = dict(start["headers"])
        if answered[b"content-type"].startswith(b"text/event-stream"):
            content = content.removeprefix(b"event: next\ndata: ")
        found = verdict(start["status"], content, "municipality")
        assert found in {"refused", "done"}, f"{headers}: {found}"
        assert all(len(value) < 200 and b"\n" not in value for value in answered.values()), headers
        refused += found == "refused"
    assert refused > 30
    assert await contents(world.api.conn) == before


ODD_QUERY_STRINGS = (
    "",
    "query=",
    "query=%00",
    "query=%FF",
    "query=%7Bmunicipality%7Bid%7D%7D&query=x",
    "query={municipality{id}}&variables={",
    "query={municipality{id}}&variables=" + "[" * 5_000,
    "query={municipality{id}}&variables=%00",
    'query={municipality{id}}&variables={"a":"%5Cud800"}',
    "query={municipality{id}}&extensions=7",
    "query={municipality{id}}&operationName=%00",
    "query={municipality{id}}&unknown=1",
    "&" * 5_000,
    "=&" * 50,
    "query=mutation{leaveGroup(input:{groupId:1}){errors{code}}}",
    "municipality=%00",
    "%",
    "query={municipality{id}}&variables=NaN",
)


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
async def test_odd_query_strings_are_refused(world: World, path: str) -> None:
    for query_string in ODD_QUERY_STRINGS:
        more: dict[str, Any] = {"method": "GET", "query_string": query_string.encode()}  # Any: ASGI's own
        async with Wire(world.api.app, "http", path, {"host": "heitto.test", "accept": "*/*"}, **more) as wire:
            start, content = await wire.take(), (await wire.take())["body"]
        content = content.removeprefix(b"event: next\ndata: ")
        assert verdict(start["status"], content, "municipality") == "refused", query_string


def strategy(type_: GraphQLInputType, world: World, name: str) -> st.SearchStrategy[Any]:  # Any: JSON
    """Values of a type: mostly such as fit, so that they get past validation to what is behind it."""
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        found: st.SearchStrategy[Any] = st.lists(strategy(inner.of_type, world, name), max_size=4)
    elif is_input_object_type(inner):
        required = {n: strategy(f.type, world, n) for n, f in inner.fields.items() if not is_nullable(f.type)}
        optional = {n: strategy(f.type, world, n) for n, f in inner.fields.items() if is_nullable(f.type)}
        found = st.fixed_dictionaries(required, optional=optional)
        if inner.is_one_of:
            found = st.one_of(*(st.fixed_dictionaries({n: each}) for n, each in optional.items()))
    elif is_enum_type(inner):
        found = st.sampled_from(sorted(inner.values))
    else:
        text = st.text(st.characters(codec="utf-8"), max_size=250)
        somebodys = st.sampled_from(sorted({each for each in world.ids.values() if "=" in each or len(each) > 40}))
        found = {
            "ID": somebodys | st.just(global_id("Idea", NOBODY)),
            "Int": st.integers(-(2**31), 2**31 - 1) | st.integers(1, 100),
            "Float": st.floats(allow_nan=False, allow_infinity=False) | st.floats(-90, 90),
            # Or the caller would be signed out of all that comes after.
            "Boolean": st.just(True) if name == "exceptCurrent" else st.booleans(),
            "DateTime": st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
            "Locale": st.sampled_from(("fi", "sv", "en-x-plain", "zh-Hant-TW")),
            "String": text | st.uuids().map(str) if name == "idempotencyKey" else text,
        }[get_named_type(inner).name]
    return st.none() | found if is_nullable(type_) else found


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_random_values_never_make_it_fail(world: World, kind: str) -> None:
    """What fits may be done; whatever comes of it, it is no failure."""
    chosen = [call for call in CALLS if call.kind == kind]
    variables = st.one_of(
        *(
            st.tuples(
                st.just(call),
                st.fixed_dictionaries({n: strategy(each.type, world, n) for n, each in call.field.args.items()}),
            )
            for call in chosen
        )
    )
    drawn: list[tuple[Call, Json]] = []

    @settings(max_examples=400, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(variables)
    def draw(each: tuple[Call, Json]) -> None:
        drawn.append(each)

    draw()
    done = 0
    for call, values in drawn:
        these = {"these": [world.ids[call.type_name]]} if "$these" in call.document else {}
        status, body = await world.send(call, call.document, orjson.dumps(values | these).decode())
        found = verdict(status, body, call.name)
        assert found in {"refused", "done"}, f"{call.place} {values}: {found}"
        done += found == "done"
    assert done > 20
