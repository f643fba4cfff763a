"""What stands for ids, cursors, codes and tokens: of both municipalities, good ones among broken and foreign ones."""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import uuid4

from backend.ids import global_id, parse_id
from tests.access.asking import Asker
from tests.access.towns import Town
from tests.calls import calls
from tests.schema_walk import is_connection, node_types, reach

Json: TypeAlias = Any  # Any: what JSON holds

LATEST = 12  # of each type, besides what the town began with
# Names of arguments that don't say which type's id they take; None is any.
TYPES = {"subjectId": "Idea", "upTo": "Notification", "responsibleId": "Official", "id": None, "ids": None}
BROKEN_IDS = ("", "x", "SWRlYTo3", "SWRlYTo=", "\0", "ä" * 40, "A" * 5_000, "' OR 1=1 --", "../../etc/passwd")
LONG = "x" * 20_000
UNSTORABLE = ("a\0b", "\ud800", "\uffff")
BROKEN_TEXTS = (
    "",
    *UNSTORABLE,
    LONG,
    "' OR '1'='1",
    "%_\\",
    "<script>",
    "{{7*7}}",
    "=1+1",
    "\N{WHITE HEAVY CHECK MARK}" * 70,
)
CURSOR = re.compile(r'"(?:endC|startC|c)ursor":"([^"]+)"')
OTHERS = {
    "Int": (0, 1, 2, 3, 20, 100, 101, -1, 2**31 - 1, -(2**31)),
    "Float": (0, 60.5, 25.5, -90, 180, 181, 1e300, -1e-300),
    "Boolean": (True, False),
    "Locale": ("fi", "sv", "en", "en-x-plain", "", "finnish language", "\0"),
    "DateTime": ("2036-01-01T00:00:00Z", "2020-02-29T12:00:00.123+02:00", "2036-13-01T00:00:00Z", "today", ""),
}


class Values:
    """Of one town's view: its own are right, the other's are foreign."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.ids: dict[str, list[str]] = {}
        self.foreign: dict[str, list[str]] = {}
        self.cursors: dict[str, list[str]] = {}
        self.tokens: list[str] = []

    async def renew(self) -> None:
        """What there is now: what was made by asking is asked about."""
        self.ids, self.foreign = [await _ids(town) for town in (self._asker.town, self._asker.other)]
        self.cursors = await self._some_cursors()
        register = "mutation ($i: RegisterDeviceInput!) { registerDevice(input: $i) { refreshToken accessToken } }"
        made = await self._asker.json(register, {"i": {"locale": "fi", "idempotencyKey": str(uuid4())}})
        device = made["data"]["registerDevice"]
        self.tokens = [device["refreshToken"], device["accessToken"]]

    async def _some_cursors(self) -> dict[str, list[str]]:
        """By the list that gave them out."""
        found: dict[str, list[str]] = {}
        for call in calls():
            if is_connection(call.field):
                inner = f"{call.name}(first: 1) {{ edges {{ cursor }} pageInfo {{ endCursor }} }}"
                body = reach(call.type_name, "$these", inner)
                head = "($these: [ID!]!)" if "$these" in body else ""
                variables = {"these": self.ids.get(call.type_name, [])[:100]} if head else {}
                for actor in ("author", "contact"):
                    answer = await self._asker.post(f"query {head} {{ {body} }}", variables, actor=actor)
                    found.setdefault(call.place, []).extend(CURSOR.findall(answer.text)[:2])
        return found

    def __call__(self, scalar: str, place: str) -> Sequence[Json]:
        """Good ones first and mostly; hypothesis simplifies towards them."""
        name = place.rpartition(".")[2]
        if scalar == "ID":
            return self.some_ids(name)
        if scalar != "String":
            return OTHERS[scalar]
        return self.some_texts(name, place.rpartition(".")[0])

    def some_ids(self, name: str) -> list[str]:
        guess = name.removesuffix("Id").removeprefix("to").capitalize()
        type_name = TYPES.get(name, guess if guess in self.ids else None)
        right = self.ids[type_name] if type_name else [id for ids in self.ids.values() for id in ids]
        wrong = [ids[0] for ids in self.ids.values()]
        foreign = self.foreign[type_name][:3] if type_name else [ids[0] for ids in self.foreign.values()]
        nobodys = [global_id(type_name or "Idea", uuid4())]
        cut = [right[0][:-1], right[0][:-4], right[0] + "=", right[0].swapcase()]
        return [*right, *right, *right, *wrong, *foreign, *nobodys, *cut, *BROKEN_IDS]

    def some_texts(self, name: str, place: str = "") -> list[str]:
        own, other = self._asker.town.canary, self._asker.other.canary
        if name in {"after", "before"}:
            right = self.cursors.get(place) or []
            others = [texts[0] for texts in self.cursors.values() if texts]
            changed = [text[:-1] + ("A" if text[-1] != "A" else "B") for text in right[:2]]
            return [*right, *right, *right, *others, *changed, *(text[:20] for text in right[:1]), *BROKEN_TEXTS]
        if name == "idempotencyKey":
            return [*(str(uuid4()) for _ in range(12)), "0" * 36, str(uuid4()).upper(), *BROKEN_TEXTS]
        if "token" in name.lower() or "code" in name.lower():
            changed = [text[:-1] for text in self.tokens] + [text.swapcase() for text in self.tokens]
            return [*self.tokens, *self.tokens, *changed, "000000", "123456", "１２３４５６", "1e5", *BROKEN_TEXTS]
        sought = [other] if name in {"search", "text"} else []  # never written: it must come from nowhere
        return ["Lisää penkkejä", "penkki", own, f"{own} ideas", "Niille voi istua.", *sought, *BROKEN_TEXTS]


async def _ids(town: Town) -> dict[str, list[str]]:
    """Of every type what the town began with, and the latest."""
    found = {}
    municipality_id = parse_id(town.id("municipality"))[1]
    for type_ in node_types():
        found[type_.name] = [thing.id for thing in town.of_type(type_.name)]
        if type_.name != "Municipality":
            rows = await town.people.api.conn.fetch(
                f"SELECT id FROM {type_.name.lower()}s WHERE municipality_id = $1 ORDER BY id DESC LIMIT {LATEST}",  # noqa: S608 # a type's name
                municipality_id,
            )
            found[type_.name] += [global_id(type_.name, row["id"]) for row in rows]
    return found
