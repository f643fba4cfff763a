"""The servers that are compared: how each is started, and how the same page and the same vote are asked of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from backend.ids import global_id

_FOLDERS = Path(__file__).parent / "peers"

_IDEA = "id title voteCount author{displayName} theme{name}"
_PAGE = "{leaderboard(first:20){nodes{rank score idea{%s}}}}"
_SET_VOTE = "mutation($input:SetVoteInput!){setVote(input:$input){idea{id voteCount} errors{code}}}"

Json = dict[str, Any]  # whatever a server answered


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """`rows` reads the ideas out of the page's data; `idea_id` writes an id as this server does.

    `votes` is False for one that knows no callers, and so no votes.
    """

    name: str
    title: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    page: str = _PAGE
    idea: str = _IDEA
    rows: Callable[[Json], list[Json]] = lambda data: [node["idea"] for node in data["leaderboard"]["nodes"]]
    idea_id: Callable[[UUID], str] = str
    votes: bool = True

    def page_body(self, *, signed_in: bool) -> str:
        return json.dumps({"query": self.page % (self.idea + (" viewerVote{counts}" if signed_in else ""))})

    def vote_body(self, idea: UUID, voted: bool) -> str:
        variables = {"input": {"ideaId": self.idea_id(idea), "voted": voted}}
        return json.dumps({"query": _SET_VOTE, "variables": variables})

    def content(self, data: Json) -> list[Json]:
        """The page as every server must give it: ids left out, since each writes them in its own way."""
        return [{key: value for key, value in row.items() if key not in {"id", "rowId"}} for row in self.rows(data)]


Environment = Mapping[str, str]


def ours(env: Environment) -> Contender:
    return Contender(
        name="heitto",
        title="Heitto",
        command=[sys.executable, "-m", "backend", "serve"],
        env=env,
        idea_id=lambda idea: global_id("Idea", idea),
    )


def mercurius(env: Environment) -> Contender:
    return Contender(name="mercurius", title="Mercurius + JIT", command=_node_command("mercurius"), env=env)


def postgraphile(env: Environment) -> Contender:
    return Contender(
        name="postgraphile",
        title="PostGraphile 5",
        command=_node_command("postgraphile"),
        env=env,
        page="{allIdeas(first:20,orderBy:[VOTE_COUNT_DESC,ROW_ID_ASC]){nodes{%s}}}",
        idea=_IDEA.replace("id", "rowId", 1),
        rows=lambda data: data["allIdeas"]["nodes"],
    )


def bare(env: Environment) -> Contender:
    options = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--port", env["PORT"]]
    command = [sys.executable, "-m", "granian", *options, "bench.bare:app"]
    return Contender(name="bare", title="bare Starlette route", command=command, env=env, votes=False)


PEERS: dict[str, Callable[[Environment], Contender]] = {
    "mercurius": mercurius,
    "postgraphile": postgraphile,
    "bare": bare,
}


def missing(peer: str) -> str:
    """Why a peer can't be compared, or nothing. Installs it from its lock where that hasn't been done."""
    if peer == "bare":
        return ""
    folder = _FOLDERS / peer
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
    if not (_FOLDERS / peer).is_dir():
        return ""
    manifest = json.loads((_FOLDERS / peer / "package.json").read_text())
    node = subprocess.run([_node_binary(peer), "--version"], capture_output=True, text=True, check=True).stdout
    return ", ".join(
        [*(f"{name} {version}" for name, version in manifest["dependencies"].items()), f"node {node.strip()}"]
    )


def _node_command(peer: str) -> list[str | Path]:
    return [_node_binary(peer), _FOLDERS / peer / "server.mjs"]


def _node_binary(peer: str) -> Path:
    """The one that the peer pins; the system's on a machine that it has no binary for."""
    own = _FOLDERS / peer / "node_modules" / ".bin" / "node"
    return own if own.exists() else Path(shutil.which("node") or "node")
