"""The same requests to a small and to a large municipality, over one connection: how answers slow as data grow."""

import asyncio
import http.client
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backend.embedded.servers import embedded_servers
from backend.ids import global_id
from bench import comparison, contenders, running, stack
from bench.machine import choose_cores, pinned

ORDERS = ("NEWEST", "OLDEST", "MOST_VOTED", "TRENDING", "DUE_FIRST")
WALKS = ("first", "later", "back")
_NODE = "id title voteCount author{displayName} theme{name} viewerVote{counts}"
_IDEAS = (
    "query($filter:IdeaFilter,$orderBy:IdeaOrder!,$first:Int,$after:String,$last:Int,$before:String)"
    "{ideas(filter:$filter,orderBy:$orderBy,first:$first,after:$after,last:$last,before:$before)"
    f"{{nodes{{{_NODE}}} pageInfo{{startCursor endCursor hasNextPage hasPreviousPage}}}}}}"
)
_BOARD = f"{{leaderboard(first:20){{nodes{{rank score idea{{{_NODE}}}}}}}}}"
_SIMILAR = "query($text:String!){similarIdeas(text:$text){similarity idea{id title}}}"
_VOTE = "mutation($input:SetVoteInput!){setVote(input:$input){idea{id voteCount} errors{code}}}"
_WARM_UP = 12

Json = dict[str, Any]  # whatever is asked and answered


@dataclass(frozen=True, slots=True)
class Asked:
    """What is filtered by in turn; `rows` where all answers hold something."""

    title: str
    filters: Sequence[Json]
    orders: Sequence[str] = ORDERS


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of `repetitions` answers, one after the other."""

    p50: float
    p95: float
    longest: float
    repetitions: int


class Caller:
    """One connection, as one resident; every answer is judged."""

    def __init__(self, port: int, tokens: Sequence[str]) -> None:
        self.port = port
        self.tokens = tokens
        self._turn = 0
        self._open()

    def _open(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, query: str, variables: Json) -> Json | None:
        """The data; None where the server gave up."""
        self._turn += 1
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Language": "en",
            "Authorization": f"Bearer {self.tokens[self._turn % len(self.tokens)]}",
        }
        body = json.dumps({"query": query, "variables": variables})
        try:
            self._connection.request("POST", "/graphql", body, headers)
            got = self._connection.getresponse()
            answer = json.loads(got.read())
        except (OSError, http.client.HTTPException):  # closed after an answer that took too long
            self._open()
            return None
        if "errors" in answer:
            if answer["errors"][0]["extensions"]["code"] in {"UNAVAILABLE", "TIMEOUT", "REQUEST_TIMEOUT", "INTERNAL"}:
                return None
            raise running.Broken(str(answer)[:500])
        data: Json = answer["data"]
        return data


def in_turn(asks: Sequence[Callable[[int], object]], *, repetitions: int, seconds: float) -> list[Figures]:
    """One of each after the other, so that a noisy moment hits all alike. Fewer repetitions, but three at least, where
    they would take longer than `seconds`."""
    began = time.monotonic()
    for number in range(_WARM_UP):
        for ask in asks:
            ask(number)
        if time.monotonic() - began > seconds / 4:
            break
    took: list[list[float]] = [[] for _ in asks]
    began = time.monotonic()
    for number in range(repetitions):
        if number >= 3 and time.monotonic() - began > seconds:
            break
        for ask, times in zip(asks, took, strict=True):
            before = time.perf_counter()
            ask(number)
            times.append((time.perf_counter() - before) * 1000)
    return [_figures(times) for times in took]


def _figures(times: list[float]) -> Figures:
    cuts = statistics.quantiles(times, n=20, method="inclusive")
    return Figures(statistics.median(times), cuts[18], max(times), len(times))


def list_requests(caller: Caller, asked: Asked) -> Iterator[tuple[str, Callable[[int], object]]]:
    """Every order and way to walk; the values of the filter come in turn."""
    for order, walk in product(asked.orders, WALKS):
        pages = [_page(caller, which, order, walk) for which in asked.filters[:40]]

        def ask(number: int, pages: list[Json] = pages) -> None:
            caller.ask(_IDEAS, pages[number % len(pages)])

        yield f"{asked.title} | {order} | {walk}", ask


def _page(caller: Caller, which: Json, order: str, walk: str) -> Json:
    page: Json = {"filter": which, "orderBy": order}
    if walk == "first":
        return {**page, "first": 20}
    way, cursor, place = ("first", "after", "endCursor") if walk == "later" else ("last", "before", "startCursor")
    for _ in range(2):
        data = caller.ask(_IDEAS, {**page, way: 100})
        if data is None or not data["ideas"]["pageInfo"]["hasNextPage" if walk == "later" else "hasPreviousPage"]:
            break
        page[cursor] = data["ideas"]["pageInfo"][place]
    return {**page, way: 20}


async def filters(database_url: str) -> list[Asked]:
    """Every filter with values drawn from the data, and pairs that people ask for."""
    draw = random.Random(7)
    ids = {}
    for kind, statement in {
        "District": "SELECT id FROM districts ORDER BY position",
        "Theme": "SELECT id FROM themes ORDER BY position",
        "Department": "SELECT id FROM departments ORDER BY position",
        "Official": "SELECT id FROM officials ORDER BY name",
        "Group": "SELECT group_id FROM idea_groups GROUP BY 1 ORDER BY count(*) DESC, 1",
    }.items():
        ids[kind] = [global_id(kind, row[0]) for row in await stack.fetch(database_url, statement)]
    seldom = await stack.fetch(database_url, "SELECT id FROM officials WHERE name = 'Official 60'")
    groups = ids["Group"]
    districts, themes = ids["District"], ids["Theme"]
    statuses = ("OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED")

    def searches(*texts: str) -> list[Json]:
        return [{"search": text} for text in texts]

    return [
        Asked("all", [{}]),
        Asked("districtId", [{"districtId": id} for id in districts]),
        Asked("themeId", [{"themeId": id} for id in themes]),
        Asked("groupId, any", [{"groupId": id} for id in draw.sample(groups, min(40, len(groups)))]),
        Asked("groupId, largest", [{"groupId": id} for id in groups[:3]]),
        Asked("departmentId", [{"departmentId": id} for id in ids["Department"]]),
        Asked("responsibleId", [{"responsibleId": id} for id in draw.sample(ids["Official"], 40)]),
        Asked("responsibleId of three", [{"responsibleId": global_id("Official", seldom[0][0])}]),
        Asked("status", [{"status": [status]} for status in statuses]),
        Asked("status, withdrawn", [{"status": ["WITHDRAWN"]}]),
        Asked("overdue", [{"overdue": True}, {"overdue": False}]),
        Asked(
            "districtId themeId",
            [{"districtId": d, "themeId": t} for d, t in zip(districts, themes * 2, strict=False)],
        ),
        Asked("themeId status", [{"themeId": t, "status": ["OPEN", "UNDER_REVIEW"]} for t in themes]),
        Asked("departmentId overdue", [{"departmentId": id, "overdue": True} for id in ids["Department"]]),
        Asked("districtId search", [{"districtId": id, "search": "puisto"} for id in districts]),
        Asked("search, in most", searches("ja", "on", "ei")),
        Asked("search, common", searches("puisto", "koulu", "ranta", "lapset", "katu")),
        Asked("search, prefix", searches("pu", "pyö", "kirj", "lu")),
        Asked("search, two words", searches("puisto koulu", "ranta katu", "lapset talvi", "penkki polku")),
        Asked("search, rare", [{"search": row[0]} for row in await _rare_words(database_url)]),
        Asked("search, none", searches("xylofonkvartett", "qqqqq", "puisto qqqqq")),
    ]


async def _rare_words(database_url: str) -> Sequence[Any]:  # Any: asyncpg's records
    """Words of about fifty ideas."""
    return await stack.fetch(
        database_url,
        "SELECT word FROM ts_stat($$SELECT search FROM ideas TABLESAMPLE SYSTEM (10) LIMIT 10000$$)"
        " WHERE ndoc BETWEEN 1 AND 3 AND length(word) > 5 ORDER BY word LIMIT 20",
    )


@contextmanager
def served(folder: Path) -> Iterator[tuple[running.Bench, Caller]]:
    """`heitto serve` over the data of a folder."""
    cores = choose_cores()
    with pinned(cores.others), embedded_servers(folder) as servers:
        bench = comparison.prepare_made(servers, folder, cores, stack.made(servers.database_url, servers.redis_url))
        env = comparison.environment(bench, pool=None)
        # Ready when it has ideas: boards of a million are made for some time after.
        server = replace(contenders.ours(env), page="{ideas(first:1){nodes{%s}}}")
        with running.running(bench, server):
            yield bench, Caller(bench.port, bench.tokens)


def requests(bench: running.Bench, caller: Caller, *, only: str) -> Iterator[tuple[str, Callable[[int], object]]]:
    """All that is asked of a municipality, by title: the same titles for each."""
    ideas = [global_id("Idea", id) for id in bench.data.ideas]

    def vote(number: int) -> None:
        # Each resident in turn goes through the ideas, and having been through takes the votes back.
        voted = number // len(ideas) % 2 == 0
        caller.ask(_VOTE, {"input": {"ideaId": ideas[number % len(ideas)], "voted": voted}})

    drawn = stack.rows(bench.data, "SELECT title FROM ideas ORDER BY md5(number::text) LIMIT 40")
    titles = [row[0] for row in drawn]
    texts = [*titles, *(title[: len(title) * 2 // 3] for title in titles)]
    common = ("Puisto", "uusi", "lapset", "ka", "Lisää puisto")
    singles: dict[str, Callable[[int], object]] = {
        "board": lambda _: caller.ask(_BOARD, {}),
        "vote": vote,
        "similar, a title": lambda n: caller.ask(_SIMILAR, {"text": texts[n % len(texts)]}),
        "similar, a common word": lambda n: caller.ask(_SIMILAR, {"text": common[n % len(common)]}),
    }
    yield from ((title, ask) for title, ask in singles.items() if only in title)
    for asked in asyncio.run(filters(bench.data.database_url)):
        if only in asked.title:
            yield from list_requests(caller, asked)


def measured(folders: Sequence[Path], *, only: str, repetitions: int, seconds: float) -> list[dict[str, Figures]]:
    """Figures by title of all requests to the municipality of each folder."""
    found: list[dict[str, Figures]] = [{} for _ in folders]
    with ExitStack() as running:
        served_by = [running.enter_context(served(folder)) for folder in folders]
        by_title = [requests(bench, caller, only=only) for bench, caller in served_by]
        for same in zip(*by_title, strict=True):
            title = same[0][0]
            figures = in_turn([ask for _, ask in same], repetitions=repetitions, seconds=seconds)
            for of_one, noted in zip(figures, found, strict=True):
                noted[title] = of_one
            told = " > ".join(f"{of_one.p95:.1f}" for of_one in figures)
            print(f"  {title}: p95 {told} ms of {figures[0].repetitions}", flush=True)
    return found


def table(small: dict[str, Figures], large: dict[str, Figures]) -> Table:
    """p95 of small and large, and how many times: of each filter and order, the worst way to walk."""
    shown = Table(title="p95 in ms, small > large, and large by small; of first, later and backward pages the worst")
    shown.add_column("request")
    for order in ORDERS:
        shown.add_column(order, justify="right")
    for title in dict.fromkeys(name.split(" | ")[0] for name in small):
        if title in small:
            shown.add_row(title, _cell(small[title], large[title]))
            continue
        cells = []
        for order in ORDERS:
            names = [name for name in small if name.startswith(f"{title} | {order} | ")]
            worst = max(names, key=lambda name: large[name].p95 / small[name].p95, default=None)
            cells.append(_cell(small[worst], large[worst]) if worst else "")
        shown.add_row(title, *cells)
    return shown


def _cell(small: Figures, large: Figures) -> str:
    return f"{small.p95:.1f} > {large.p95:.1f}  {large.p95 / small.p95:.2f}"


def show(small: dict[str, Figures], large: dict[str, Figures]) -> None:
    Console(width=None if Console().is_terminal else 170).print(table(small, large))


def keep(found: dict[str, dict[str, Figures]]) -> Path:
    """Writes `results/<time>-growth.json` and tells where."""
    now = datetime.now(UTC)
    file = Path(__file__).with_name("results") / f"{now:%Y-%m-%dT%H%M%SZ}-growth.json"
    file.parent.mkdir(exist_ok=True)
    results = {size: {title: asdict(of) for title, of in figures.items()} for size, figures in found.items()}
    file.write_text(json.dumps({"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", **results}, indent=1) + "\n")
    return file
