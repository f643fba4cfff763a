"""Everything in one municipality's town, asked as anybody, with every answer held against the other's canaries."""

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import httpx2
import orjson

from tests.access.towns import Town, Towns
from tests.calls import Json

_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_CODED = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
CURSOR_BYTES = 34
# A request's own answer: all that may differ between two answers to the same.
OF_THE_REQUEST = ("x-request-id",)


def uuids_in(text: str) -> Iterator[UUID]:
    """Those that a text names, in ids, cursors and tokens too."""
    for found in _UUID.findall(text):
        yield UUID(found)
    for coded in _CODED.findall(text):
        for decode in (b64decode, urlsafe_b64decode):
            try:
                raw = decode(coded.rstrip("=") + "=" * (-len(coded.rstrip("=")) % 4))
            except (Error, ValueError):
                continue
            for found in _UUID.findall(raw.decode("latin-1")):
                yield UUID(found)
            if len(raw) == CURSOR_BYTES:
                yield UUID(bytes=raw[8:24])


@dataclass
class Asker:
    """Sends as one of a town's people and remembers what leaked."""

    town: Town
    other: Town
    leaks: list[str] = field(default_factory=list)
    asked: int = 0

    def headers(self, actor: str) -> dict[str, str]:
        """Everybody names their own municipality."""
        token = self.town.people.tokens.get(actor, "")
        named = {"heitto-municipality": self.town.slug}
        return named | ({"authorization": f"Bearer {token}"} if token else {})

    async def post(
        self, query: str, variables: Mapping[str, object] | None = None, *, actor: str = "anonymous", **more: str
    ) -> httpx2.Response:
        body = orjson.dumps({"query": query, "variables": variables or {}})
        return await self.send(body, actor=actor, **more)

    async def send(self, body: bytes, *, actor: str, **more: str) -> httpx2.Response:
        headers = {"content-type": "application/json", **self.headers(actor), **more}
        answer = await self.town.people.api.client.post("/graphql", content=body, headers=headers)
        sent = body.decode()
        self.check(f"{answer.headers}{answer.text}", sent=sent, where=f"{sent[:120]} as {actor}")
        return answer

    async def json(
        self, query: str, variables: Mapping[str, object] | None = None, *, actor: str = "anonymous"
    ) -> Json:
        found: Json = (await self.post(query, variables, actor=actor)).json()
        return found

    def check(self, text: str, *, sent: str, where: str) -> None:
        """Nothing of the other municipality that wasn't named in the question."""
        self.asked += 1
        if self.other.canary in text.lower() and self.other.canary not in sent.lower():
            self.leaks.append(f"a text of {self.other.slug}: {where}")
        foreign = set(uuids_in(text)) & self.other.uuids
        if foreign and foreign - set(uuids_in(sent)):
            self.leaks.append(f"an id of {self.other.slug}: {where}")


def both(towns: Towns) -> tuple[Asker, Asker]:
    return Asker(towns.here, towns.there), Asker(towns.there, towns.here)


def bare(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body, without what is of the request alone."""
    headers = [(name, value) for name, value in answer.headers.items() if name not in OF_THE_REQUEST]
    return answer.status_code, headers, answer.content
