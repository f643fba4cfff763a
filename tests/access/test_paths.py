"""Every path. GraphQL's own all say the same to the same caller; the others to everybody, and of no municipality."""

import orjson
import pytest
from starlette.routing import Mount, Route, WebSocketRoute

from tests.access.asking import both, uuids_in
from tests.access.live import over_socket, over_stream
from tests.access.paths import by_id
from tests.access.test_elsewhere import mutation
from tests.access.test_sights import ids_by_type
from tests.access.towns import CANARIES, Towns
from tests.contents import contents_apart
from tests.schema_walk import root_fields
from tests.test_access import EVERYBODY

pytestmark = pytest.mark.anyio

GRAPHQL = {"/graphql", "/graphql/stream"}  # everything else in this folder is about them
# Every other path, one of its kind where there are many, with the methods it takes and the status it answers with.
PATHS = {
    "/graphiql/start.js": ("GET HEAD", 200),
    "/graphiql": ("GET HEAD", 200),
    "/healthz": ("GET HEAD", 200),
    "/readyz": ("GET HEAD", 200),
    "/metrics": ("GET HEAD", 200),
    "/.well-known/jwks.json": ("GET HEAD", 200),
    "/.well-known/login/{municipality}/{provider}/jwks.json": ("GET HEAD", 404),  # of a provider that isn't there
    "/personal-data/{secret}": ("GET", 401),  # HEAD would use up what is given once
}
BELOW = {
    "/graphiql": "/graphiql/graphiql.min.css",
    "/.well-known/login/{municipality}/{provider}/jwks.json": "/.well-known/login/ilola/nobody/jwks.json",
    "/personal-data/{secret}": f"/personal-data/{'x' * 43}",
}
# What tells those who are signed in something else: of nobody's here. Somebody's is in tests/test_data_exports.py.
SIGNED_IN = {"/personal-data/{secret}": 404}
# Differs between any two calls, and counts logins by provider: for who runs it, who is told to keep it to themselves.
COUNTING = {"/metrics"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


async def test_every_path_is_listed_and_takes_its_methods_only(towns: Towns) -> None:
    api = towns.here.people.api
    routes = {route.path for route in api.app.routes if isinstance(route, Route | Mount | WebSocketRoute)}
    assert len(api.app.routes) == len(routes) + 1, "the socket shares a path"
    assert routes == GRAPHQL | PATHS.keys()
    for path, (methods, status) in PATHS.items():
        for method in METHODS:
            answer = await api.client.request(method, BELOW.get(path, path))
            assert answer.status_code == (status if method in methods.split() else 405), f"{method} {path}"


async def test_every_path_is_the_same_for_everybody_and_tells_of_no_municipality(towns: Towns) -> None:
    client, uuids = towns.here.people.api.client, towns.here.uuids | towns.there.uuids
    others: dict[str, bytes] = {}
    for path in PATHS:
        expected = (await client.get(BELOW.get(path, path))).content
        for town in (towns.here, towns.there):
            for actor in EVERYBODY:
                headers = {
                    "heitto-municipality": town.slug,
                    "authorization": f"Bearer {town.people.tokens.get(actor, 'x')}",
                }
                answer = await client.get(BELOW.get(path, path), headers=headers)
                if path in SIGNED_IN and actor != "anonymous":
                    assert (answer.status_code, town.slug in answer.text) == (SIGNED_IN[path], False)
                    assert others.setdefault(path, answer.content) == answer.content
                else:
                    assert answer.content == expected or path in COUNTING
                assert not any(canary in answer.text for canary in CANARIES.values())
                assert not any(slug in answer.text for slug in CANARIES) or path in BELOW.keys() | COUNTING
                assert not uuids & set(uuids_in(answer.text))
    unknown = await client.get("/nowhere")
    assert (unknown.status_code, unknown.text) == (404, "Not Found")


async def test_c2_every_transport_shows_the_same(towns: Towns) -> None:
    api, slug = towns.here.people.api, towns.here.slug
    here, _ = both(towns)
    for document in [*by_id(ids_by_type(towns.here))][::9]:
        for actor in ("anonymous", "author", "contact", "moderator"):
            token = towns.here.people.tokens.get(actor, "")
            expected = await here.json(document, actor=actor)
            got = await api.client.get("/graphql", params={"query": document}, headers=here.headers(actor))
            said = [
                got.json(),
                await over_stream(api.app, document, token=token, slug=slug),
                await over_socket(api.app, document, token=token, slug=slug),
            ]
            assert said == [expected] * 3, f"{document} as {actor}"


async def test_e5_a_get_changes_nothing_whoever_asks(towns: Towns) -> None:
    here, _ = both(towns)
    api = towns.here.people.api
    for name in root_fields("mutation"):
        document, _ = mutation(name)
        input = await here.town.people.input(name, "author")
        before = await contents_apart(api.conn)
        asked = {"query": document, "variables": orjson.dumps({"input": input}).decode()}
        for actor in EVERYBODY:
            for path, accepted in (("/graphql", "*/*"), ("/graphql/stream", "text/event-stream")):
                answer = await api.client.get(path, params=asked, headers=here.headers(actor) | {"accept": accepted})
                assert answer.status_code == 405, f"{name} as {actor}"
        assert await contents_apart(api.conn) == before, name
