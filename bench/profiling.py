"""Where our own server's time goes under one workload: by py-spy where it is installed, else by cProfile."""

import pstats
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from bench import load, stack
from bench.contenders import Contender
from bench.measure import plan_for
from bench.running import Bench, running
from bench.workloads import QUICK_CONNECTIONS, Workload

_SHOWN = 40


def run(bench: Bench, contender: Contender, workload: Workload, *, seconds: int) -> None:
    """Prints the functions with the most time of their own."""
    output = bench.folder / "profile"
    spy = shutil.which("py-spy")
    command: list[str | Path]
    if spy:
        command = [spy, "record", "--subprocesses", "--nonblocking", "--rate", "250", "--format", "raw"]
        command += ["--output", output, "--", *contender.command]
    else:
        command = [sys.executable, "-m", "bench.profiled", output]
    stack.reset(bench.data)
    connections = QUICK_CONNECTIONS[0]
    with running(bench, replace(contender, command=command)) as server:
        plan = plan_for(bench, contender, workload, range(len(bench.tokens)), connections=connections)
        figures = load.run(plan, port=bench.port, connections=connections, seconds=seconds, folder=bench.folder)
        server.process.send_signal(signal.SIGINT if spy else signal.SIGTERM)
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            print("the profiler didn't end by itself")
    print(
        f"{workload.title}: {figures.total / figures.seconds:,.0f} requests/s while profiled; {figures.refused} refused"
    )
    if spy:
        _show_stacks(output)
    else:
        pstats.Stats(str(output)).sort_stats("tottime").print_stats(_SHOWN)


def _show_stacks(output: Path) -> None:
    """Folded stacks, a line each: `outermost;...;innermost count`."""
    own: Counter[str] = Counter()
    for line in output.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        own[frames.rpartition(";")[2]] += int(count)
    for frame, samples in own.most_common(_SHOWN):
        print(f"{samples / own.total():6.1%}  {frame}")
