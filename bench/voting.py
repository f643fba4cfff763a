"""Votes that land on the board while its page is read: so many a second, however long their answers take."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.load import judge, read_answer
from bench.workloads import Plan


@dataclass(slots=True)
class Voting:
    """`answers` has of each good answer when it came and how long it took after its vote was due, in seconds."""

    answered: list[int]
    answers: list[tuple[float, float]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def between(self, start: float, end: float) -> list[float]:
        """How long those took that were answered in a stretch of `time.perf_counter`."""
        return [took for at, took in list(self.answers) if start <= at < end]

    def stop(self) -> None:
        """No vote is sent after this; those on their way are still answered."""
        self.stopped.set()


@contextmanager
def voting(plan: Plan, *, port: int, rate: int) -> Iterator[Voting]:
    """Votes until stopped or the `with` is left, each lane over its own connection. The last answers are awaited."""
    found = Voting([0] * plan.lanes)
    thread = threading.Thread(target=lambda: asyncio.run(_vote(plan, found, port=port, rate=rate)))
    thread.start()
    try:
        yield found
    finally:
        found.stop()
        thread.join()


async def _vote(plan: Plan, found: Voting, *, port: int, rate: int) -> None:
    started = time.perf_counter()

    async def lane_votes(lane: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            turn = 0
            while not found.stopped.is_set():
                due = started + (lane + turn * plan.lanes) / rate
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                writer.write(plan.request(lane, found.answered[lane]).encode())
                refusal = judge(plan, *await read_answer(reader))
                turn += 1
                if refusal:
                    found.refusals.append(refusal)
                else:
                    found.answered[lane] += 1
                    found.answers.append(((now := time.perf_counter()), now - due))
        except (OSError, EOFError) as error:
            found.refusals.append(f"connection broken: {error}")
        finally:
            writer.close()

    await asyncio.gather(*(lane_votes(lane) for lane in range(plan.lanes)))
