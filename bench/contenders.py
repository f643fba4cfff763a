"""The servers that are compared: how each is started, and how the same page and the same vote are asked of it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.ids import global_id
from bench.workloads import Workload

_PEERS = Path(__file__).parent / "peers"

_IDEA = "id title voteCount author{displayName} theme{name}"
_SIGNED_IN = (
    " viewerVote{counts} viewerFollows responsible{name title}"
    " clock{reactionDueAt answerDueAt firstResponseAt answeredAt isOverdue} latestResponse{kind body createdAt}"
)
_PAGE = "{leaderboard(first:20){nodes{rank score idea{%s}}}}"
_SET_VOTE = "mutation($input:SetVoteInput!){setVote(input:$input){idea{id voteCount} errors{code}}}"

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

Json = dict[str, Any]  # whatever a server answered


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """`rows` reads the ideas out of the page's data; `idea_id` writes an id as this server does.

    `workloads` are those it is measured under; all where None.
    """

    name: str
    title: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    page: str = _PAGE
    idea: str = _IDEA
    rows: Callable[[Json], list[Json]] = lambda data: [node["idea"] for node in data["leaderboard"]["nodes"]]
    idea_id: Callable[[UUID], str] = str
    workloads: frozenset[str] | None = None
    workers: int = 1

    def takes(self, workload: Workload) -> bool:
        return self.workloads is None or workload.key in self.workloads

    def page_body(self, *, signed_in: bool) -> str:
        return json.dumps({"query": self.page % (self.idea + (_SIGNED_IN if signed_in else ""))})

    def vote_body(self, idea: UUID, voted: bool) -> str:
        variables = {"input": {"ideaId": self.idea_id(idea), "voted": voted}}
        return json.dumps({"query": _SET_VOTE, "variables": variables})

    def content(self, data: Json) -> list[Json]:
        """The page as every server must give it: ids left out, since each writes them in its own way, and one way to
        write a moment."""
        return [
            {key: _plain(value) for key, value in row.items() if key not in {"id", "rowId"}} for row in self.rows(data)
        ]


def _plain(value: Any) -> Any:  # whatever JSON has
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat(timespec="milliseconds")
    return value


Environment = Mapping[str, str]


def ours(env: Environment, *, workers: int = 1) -> Contender:
    return Contender(
        name="heitto" if workers == 1 else f"heitto-{workers}",
        title="Heitto" if workers == 1 else f"Heitto, {workers} workers",
        command=[sys.executable, "-m", "backend", "serve"],
        env={**env, "HEITTO_WORKERS": str(workers)},
        idea_id=lambda idea: global_id("Idea", idea),
        workloads=None if workers == 1 else frozenset({"W1", "W2", "W3", "W4"}),
        workers=workers,
    )


def mercurius(env: Environment) -> Contender:
    return Contender(name="mercurius", title="Mercurius + JIT", command=_node_command("mercurius"), env=env)


def mercurius_cache(env: Environment) -> Contender:
    """Its plug-in keeps resolvers' results by their arguments; what a viewer may see differs, so only public pages."""
    return Contender(
        name="mercurius-cache",
        title="Mercurius + cache",
        command=_node_command("mercurius"),
        env={**env, "CACHE": "1"},
        workloads=frozenset({"W1", "W1v"}),
    )


def postgraphile(env: Environment) -> Contender:
    return Contender(
        name="postgraphile",
        title="PostGraphile 5",
        command=_node_command("postgraphile"),
        env=env,
        page="{allIdeas(first:20,orderBy:[VOTE_COUNT_DESC,ROW_ID_ASC]){nodes{%s}}}",
        idea=_IDEA.replace("id", "rowId", 1),
        rows=lambda data: data["allIdeas"]["nodes"],
        workloads=frozenset({"W1", "W2", "W3", "W4"}),
    )


def bare(env: Environment) -> Contender:
    options = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--port", env["PORT"]]
    command = [sys.executable, "-m", "granian", *options, "bench.bare:app"]
    return Contender(name="bare", title="bare Starlette route", command=command, env=env, workloads=frozenset({"W1"}))


PEERS: dict[str, Callable[[Environment], Contender]] = {
    "mercurius": mercurius,
    "mercurius-cache": mercurius_cache,
    "postgraphile": postgraphile,
    "bare": bare,
}


def missing(peer: str) -> str:
    """Why a peer can't be compared, or nothing. Installs it from its lock where that hasn't been done."""
    folder = _folder(peer)
    if not folder.is_dir():
        return ""
    lock, done = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return ""
    npm = shutil.which("npm")
    if not npm:
        return "npm is missing (Debian: apt-get install npm)"
    print(f"installing {peer} and its own Node with npm ...", flush=True)
    if subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=False).returncode:
        return "npm ci failed"
    return ""


def versions(peer: str) -> str:
    """`mercurius 16.10.1, …, node 26.10.0`; nothing for what runs on our own Python."""
    folder = _folder(peer)
    if not folder.is_dir():
        return ""
    manifest = json.loads((folder / "package.json").read_text())
    node = subprocess.run([_node_binary(folder), "--version"], capture_output=True, text=True, check=True).stdout
    return ", ".join(
        [*(f"{name} {version}" for name, version in manifest["dependencies"].items()), f"node {node.strip()}"]
    )


def _folder(peer: str) -> Path:
    """Where its package is: that of `mercurius` for `mercurius-cache`, none for what runs on our own Python."""
    return _PEERS / peer.partition("-")[0]


def _node_command(peer: str) -> list[str | Path]:
    folder = _folder(peer)
    return [_node_binary(folder), folder / "server.mjs"]


def _node_binary(folder: Path) -> Path:
    """The one that the peer pins; the system's on a machine that it has no binary for."""
    own = folder / "node_modules" / ".bin" / "node"
    return own if own.exists() else Path(shutil.which("node") or "node")
