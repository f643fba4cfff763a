"""Load over 64 connections that stay open: by wrk where it is installed, else by Python, which is slower."""

import asyncio
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.workloads import CONNECTIONS, Plan

_SCRIPT = Path(__file__).with_name("load.lua")
_ERRORS = b'"errors":[{'  # the operation's; a payload's own are empty where all is well


class LoadFailed(Exception):
    """The load could not be made; says why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """`answered` counts the good answers of each lane (200, data, no errors), `refused` all others; `refusal` is one.

    `p50` and `p99` are milliseconds.
    """

    answered: list[int]
    refused: int
    refusal: str
    seconds: float
    p50: float
    p99: float

    @property
    def total(self) -> int:
        return sum(self.answered)


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "Python"


def run(plan: Plan, *, port: int, seconds: int, folder: Path) -> Figures:
    """Raises LoadFailed."""
    if generator() == "wrk":
        return _run_wrk(plan, port=port, seconds=seconds, folder=folder)
    return uvloop.run(_run_python(plan, port=port, seconds=seconds))


def _run_wrk(plan: Plan, *, port: int, seconds: int, folder: Path) -> Figures:
    rendered = folder / "plan.lua"
    heads = ",\n".join(map(json.dumps, plan.heads))
    bodies = ",\n".join(f"{{{json.dumps(votes)}, {json.dumps(withdraws)}}}" for votes, withdraws in plan.bodies)
    rendered.write_text(f"return {{lanes={plan.lanes}, heads={{{heads}}}, bodies={{{bodies}}}}}")
    command: list[str | Path] = [
        "wrk",
        f"-t{plan.lanes}",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        _SCRIPT,
    ]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/graphql", "--", rendered], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LoadFailed(done.stdout + done.stderr)
    return Figures(**json.loads(done.stdout.strip().rpartition("\n")[2]))


async def _run_python(plan: Plan, *, port: int, seconds: int) -> Figures:
    answered = [0] * plan.lanes
    waits: list[float] = []
    refusals: list[str] = []
    started = time.perf_counter()

    async def connection(number: int) -> None:
        lane = number % plan.lanes
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (sent := time.perf_counter()) - started < seconds:
                writer.write(plan.request(lane, answered[lane]).encode())
                status, body = await _answer(reader)
                waits.append(time.perf_counter() - sent)
                if status == 200 and b'"data":{' in body and _ERRORS not in body:
                    answered[lane] += 1
                else:
                    shown = max(body.find(_ERRORS), 0)
                    refusals.append(f"{status} {body[shown : shown + 300]!r}")
        except (OSError, EOFError) as error:
            refusals.append(f"connection broken: {error}")
        finally:
            writer.close()

    await asyncio.gather(*(connection(number) for number in range(CONNECTIONS)))
    waits.sort()
    p50, p99 = (waits[int(len(waits) * share)] * 1000 if waits else 0.0 for share in (0.50, 0.99))
    seconds_taken = time.perf_counter() - started
    return Figures(answered, len(refusals), refusals[-1] if refusals else "", seconds_taken, p50, p99)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r")[0]
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length))
