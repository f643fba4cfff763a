"""From a payload to its answer, the same for HTTP, server-sent events and WebSocket."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count

import orjson
from graphql import ExecutionResult

from backend.errors import RequestError, Unavailable
from backend.transport.answers import Answer, ErrorFormat
from backend.transport.finished import FinishedAnswers, Key
from backend.transport.gate import Caller, Ending, Gate
from backend.transport.limits import check_affordable
from backend.transport.operations import Operation, Operations
from backend.transport.payload import Payload

QUERY_SECONDS = 5
MUTATION_SECONDS = 8
MUTATION_POINTS = 5
QUERIES_AT_ONCE = 16

_numbers = count(1)
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


def request_id(proposed: str | None) -> str:
    """The client's own where it is fit for a log line, a new one otherwise."""
    return proposed if proposed and _REQUEST_ID.fullmatch(proposed) else f"{_prefix()}{next(_numbers):08x}"


@cache
def _prefix() -> str:
    """A process's own, made when its first request comes."""
    return os.urandom(6).hex()


@dataclass(slots=True)  # not frozen, as all that is made for each request: it would take three times as long
class Request:
    """An operation that may run: prepared, within the caller's limits, and paid for."""

    caller: Caller
    operation: Operation
    variables: Mapping[str, object]
    id: str
    key: Key | None
    points: int

    @property
    def public(self) -> bool:
        """Whether everybody else who has no account gets the same answer. Who has one never gets a shared one: authors
        and moderators see hidden ideas, and who has just voted looks for that vote."""
        return self.key is not None


@dataclass(slots=True, eq=False)
class Life:
    """Of a stream or socket; `ending` says why it was cut short. `with_token`: its time is its token's."""

    timeout: asyncio.Timeout
    caller: Caller | None = None
    ending: Ending | None = None
    with_token: bool = False

    def end(self) -> None:
        if not self.timeout.expired():
            self.timeout.reschedule(0)


@dataclass(slots=True)
class Pipeline:
    operations: Operations
    gate: Gate
    errors: ErrorFormat = field(default_factory=ErrorFormat)
    finished: FinishedAnswers = field(default_factory=FinishedAnswers)
    _queries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUERIES_AT_ONCE))
    _lives: set[Life] = field(default_factory=set)

    async def recall(self, caller: Caller, text: Hashable) -> Answer | None:
        """The kept answer to a request of exactly this text, before anything of it is read. Raises RateLimited."""
        if caller.signed_in:
            return None
        recalled = self.finished.recall((caller.scope, text))
        if recalled is None:
            return None
        await self.gate.charge(caller, recalled[1])
        return recalled[0]

    def remember(self, request: Request, text: Hashable, length: int) -> None:
        """Let `recall` find the answer to this request by its text, if it is one to keep."""
        if request.key:
            self.finished.remember((request.caller.scope, text), length, request.key, request.points)

    async def accept(self, caller: Caller, read: Callable[[], Payload], request_id: str) -> Request:
        """Raises RequestError; what is refused costs its caller a point as well. Of a document that isn't remembered
        that point is taken first: parsing is dear, and who has no point left is not to have it for nothing."""
        paid = 0
        try:
            payload = read()
            if not self.operations.remembers(payload.query):
                paid = 1
                await self.gate.charge(caller, paid)
            operation = self.operations.prepare(payload.query).operation(payload.operation_name)
            cost = check_affordable(
                operation.measure, payload.variables, self.operations.limits, signed_in=caller.signed_in
            )
        except RequestError:
            if not paid:
                await self.gate.charge(caller, 1)
            raise
        mutations = len(operation.measure.root_fields) if operation.kind == "mutation" else 0
        points = MUTATION_POINTS * mutations or 1 + cost // 100
        if points > paid:
            await self.gate.charge(caller, points - paid)
        key = public_key(caller, operation, payload)
        return Request(caller, operation, payload.variables, request_id, key, points)

    async def answer(self, request: Request) -> Answer:
        """A query's or mutation's answer. Raises RequestError when nothing was executed or time ran out."""
        if request.key is None:
            return await self._run(request)
        return await self.finished.get(request.key, partial(self._run, request))

    async def _run(self, request: Request) -> Answer:
        context = self.gate.context(request.caller, request.id)
        seconds = MUTATION_SECONDS if request.operation.kind == "mutation" else QUERY_SECONDS
        # Mutations wait together for their commit; queries would only make each other, and the loop, slow.
        turn = nullcontext() if request.operation.kind == "mutation" else self._queries
        try:
            async with asyncio.timeout(seconds), turn:
                result = await self.operations.execute(request.operation, request.variables, context)
        except TimeoutError:
            raise Unavailable(f"The request took longer than {seconds} s. Try again in a moment.") from None
        return self._answer(request, result)

    async def open(self, request: Request) -> AsyncGenerator[Answer, None]:
        """The answers of an operation of any kind, one by one. Raises RequestError when nothing was executed."""
        if request.operation.kind != "subscription":
            return only(await self.answer(request))
        context = partial(self.gate.context, request.caller, request.id, live=True)
        return self._events(request, await self.operations.subscribe(request.operation, request.variables, context))

    async def _events(
        self, request: Request, results: AsyncGenerator[ExecutionResult, None]
    ) -> AsyncGenerator[Answer, None]:
        async with aclosing(results):
            try:
                async for result in results:
                    yield self._answer(request, result)
            except Exception as error:
                yield self.errors.refused(error, request_id=request.id, operation=request.operation.name).answer()

    def _answer(self, request: Request, result: ExecutionResult) -> Answer:
        if not result.errors:
            return Answer(orjson.dumps({"data": result.data}))
        errors, retry_after = self.errors.executed(
            result.errors, request_id=request.id, operation=request.operation.name
        )
        body = orjson.dumps({"data": result.data, "errors": errors})
        return Answer(body, has_errors=True, retry_after=retry_after)

    @asynccontextmanager
    async def life(self, caller: Caller | None, seconds: float) -> AsyncGenerator[Life, None]:
        """Ends with TimeoutError: after `seconds`, with the caller's token, by `review`, or by `drain`."""
        async with asyncio.timeout(remaining_seconds(caller, seconds)) as timeout:
            life = Life(timeout, caller)
            self._lives.add(life)
            try:
                self._review(life)
                yield life
            finally:
                self._lives.discard(life)

    def belong(self, life: Life, caller: Caller, seconds: float) -> None:
        """Whose it is turned out later: it lasts for `seconds` from now, and no longer than the caller's token."""
        life.caller = caller
        remaining = remaining_seconds(caller, seconds)
        life.with_token = remaining < seconds
        life.timeout.reschedule(asyncio.get_running_loop().time() + remaining)
        self._review(life)

    def review(self) -> None:
        """What the gate thinks of some callers has changed: ends what those have open whom it turns away now."""
        for life in self._lives:
            self._review(life)

    def _review(self, life: Life) -> None:
        if life.caller and life.ending is None:
            life.ending = self.gate.ending(life.caller)
            if life.ending:
                life.end()

    def drain(self) -> None:
        """Ends every stream and socket, so that a stopping server needn't wait for their clients."""
        for life in self._lives:
            life.ending = life.ending or Ending.RECONNECT
            life.end()


def public_key(caller: Caller, operation: Operation, payload: Payload) -> Key | None:
    """Under which the answer is shared; None where it isn't."""
    if caller.signed_in or not operation.public:
        return None
    known = {name: payload.variables[name] for name in operation.variables if name in payload.variables}
    return Key(caller.scope, (payload.query, operation.name, orjson.dumps(known, option=orjson.OPT_SORT_KEYS)))


async def only(answer: Answer) -> AsyncGenerator[Answer, None]:
    yield answer


def remaining_seconds(caller: Caller | None, seconds: float) -> float:
    """At most `seconds`, and no longer than the caller's token lasts."""
    return seconds if caller is None or caller.expires_at is None else min(seconds, caller.expires_at - time.time())
