"""What the bench says must be right even when nobody runs it. That it measures is seen by running it."""

import json
from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from bench.document import FOLDER, PAGE, filled
from bench.plots import draw
from bench.verdicts import judge
from bench.workloads import Plan, standing


def test_the_performance_page_and_its_plots_are_those_of_the_run_beside_them() -> None:
    run = json.loads((FOLDER / "run.json").read_text())
    assert PAGE.read_text() == filled(run, PAGE.read_text())
    workloads = {figure["workload"] for figure in run["results"]}
    assert {file.stem: file.read_text() for file in FOLDER.glob("*.svg") if file.stem in workloads} == {
        workload: draw(run, workload) for workload in workloads
    }


def _run(**rates: dict[str, float]) -> dict[str, Any]:  # as in a run's JSON
    def middle(rate: float) -> dict[str, Any]:
        costs = {"server_us": 1e6 / rate, "postgres_us": 10.0, "redis_us": None}
        return {"rate": rate, "p99": 99.9, "started": 1.2, "resident_mb": 121.0, "wrong": "", **costs}

    figures = [
        {"workload": workload, "connections": 32, "server": server, "median": middle(rate), "rounds": [middle(rate)]}
        for workload, servers in rates.items()
        for server, rate in servers.items()
    ]
    return {"machine": {"two workers apart from the load": False}, "results": figures}


def test_a_demand_is_met_missed_or_not_judged() -> None:
    run = _run(W1={"heitto": 3000, "mercurius": 1000, "mercurius-cache": 3001}, W3={"heitto": 1499, "mercurius": 1000})
    verdicts = {verdict.demand: verdict for verdict in judge(run)}
    met = {demand: verdict.met for demand, verdict in verdicts.items() if verdict.met is not None}
    assert met == {
        "public board page: at least 3 times Mercurius": True,
        "public board page: faster than Mercurius with its cache": False,
        "votes over 200 ideas: at least 1.5 times Mercurius": False,
        "votes over 200 ideas: p99 below 100 ms": True,
        "process start to first page: under 1.5 s, median of all starts": True,
        "memory of a worker after any load: under 120 MB": False,
    }
    assert verdicts["public board page: at least 0.35 of the bare route"].measured == "not measured"
    assert verdicts["votes over 200 ideas: at least 1.5 times Mercurius"].measured == "1.50 at 32"


@pytest.mark.parametrize(("lanes", "callers", "subjects"), [(1, 3, 2), (4, 9, 1), (5, 23, 7)])
def test_each_statement_of_a_plan_changes_a_row_whatever_the_other_lanes_do(
    lanes: int, callers: int, subjects: int
) -> None:
    plan = Plan(lanes, [f"head {n}" for n in range(callers)], [("vote", "withdraw")] * subjects)
    stands: dict[tuple[int, int], bool] = defaultdict(bool)
    lane_of: dict[int, int] = {}
    for lane in range(lanes):
        for step in range(3 * callers * subjects):
            caller, subject, votes = plan.statement(lane, step)
            assert stands[caller, subject] is not votes
            assert lane_of.setdefault(caller, lane) == lane
            stands[caller, subject] = votes
    assert len(stands) == callers * subjects


def test_the_statement_on_its_way_at_the_end_may_stand_or_not() -> None:
    plan = Plan(1, ["head"], [("vote", "withdraw")])
    resident, idea = UUID(int=1), UUID(int=2)
    assert standing(plan, [resident], [idea], [1]) == ({(resident, idea): True}, {(resident, idea)})
