"""Load over connections that stay open: by wrk where it is installed, else by Python, which is slower."""

import asyncio
import json
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.workloads import Plan

_SCRIPT = Path(__file__).with_name("load.lua")
_ERRORS = b'"errors":[{'  # the operation's; a payload's own are empty where all is well


class LoadFailed(Exception):
    """The load could not be made; says why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """`answered` counts the good answers of each lane (200, data, no errors), `refused` all others; `refusal` is one.

    `p50` to `longest` are milliseconds; `processor` is what the generator itself used, in seconds.
    """

    answered: list[int]
    refused: int
    refusal: str
    seconds: float
    p50: float
    p95: float
    p99: float
    longest: float
    processor: float

    @property
    def total(self) -> int:
        return sum(self.answered)


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "Python"


def run(plan: Plan, *, port: int, connections: int, seconds: int, folder: Path) -> Figures:
    """Raises LoadFailed."""
    before = _used()
    if generator() == "wrk":
        found = _run_wrk(plan, port=port, connections=connections, seconds=seconds, folder=folder)
    else:
        found = uvloop.run(_run_python(plan, port=port, connections=connections, seconds=seconds))
    return Figures(**found, processor=_used() - before)


def _used() -> float:
    """Processor seconds of this process and of those that it waited for."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, whose))


def _run_wrk(plan: Plan, *, port: int, connections: int, seconds: int, folder: Path) -> dict[str, Any]:
    pairs = ",\n".join(f"{{{json.dumps(votes)}, {json.dumps(withdraws)}}}" for votes, withdraws in plan.bodies)
    rule = f"good={json.dumps(plan.good)}, changes_rows={json.dumps(plan.changes_rows)}"
    (folder / "shared.lua").write_text(f"return {{{rule}, bodies={{{pairs}}}}}")
    for lane in range(plan.lanes):
        heads = ",\n".join(map(json.dumps, plan.callers(lane)))
        (folder / f"lane-{lane}.lua").write_text(f"return {{{heads}}}")
    command: list[str | Path] = ["wrk", f"-t{plan.lanes}", f"-c{connections}", f"-d{seconds}s"]
    command += ["--timeout", "30s", "-s", _SCRIPT, f"http://127.0.0.1:{port}/graphql", "--", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(done.stdout + done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return found


async def _run_python(plan: Plan, *, port: int, connections: int, seconds: int) -> dict[str, Any]:
    answered, asked = [0] * plan.lanes, [0] * plan.lanes
    waits: list[float] = []
    refusals: list[str] = []
    started = time.perf_counter()

    async def connection(number: int) -> None:
        lane = number % plan.lanes
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (sent := time.perf_counter()) - started < seconds:
                step = (answered if plan.changes_rows else asked)[lane]
                asked[lane] += 1
                writer.write(plan.request(lane, step).encode())
                refusal = judge(plan, *await read_answer(reader))
                waits.append(time.perf_counter() - sent)
                if refusal:
                    refusals.append(refusal)
                else:
                    answered[lane] += 1
        except (OSError, EOFError) as error:
            refusals.append(f"connection broken: {error}")
        finally:
            writer.close()

    await asyncio.gather(*(connection(number) for number in range(connections)))
    return {
        "answered": answered,
        "refused": len(refusals),
        "refusal": refusals[-1] if refusals else "",
        "seconds": time.perf_counter() - started,
        **percentiles(waits),
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """`p50`, `p95`, `p99` and `longest` of what was waited, in milliseconds."""
    waits = sorted(seconds) or [0.0]
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {
        **{name: waits[int(len(waits) * share)] * 1000 for name, share in shares.items()},
        "longest": waits[-1] * 1000,
    }


def judge(plan: Plan, status: int, body: bytes) -> str:
    """Why an answer is none; nothing where it is good."""
    if status == 200 and plan.good.encode() in body and _ERRORS not in body:
        return ""
    shown = max(body.find(_ERRORS), 0)
    return f"{status} {body[shown : shown + 300]!r}"


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r")[0]
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length))
