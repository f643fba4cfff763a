"""The README says what is so: its settings are the settings, and its first session runs as it is written."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SESSION = re.findall(r"^```sh session\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_settings_table_lists_every_setting_with_its_default() -> None:
    listed = re.findall(r"^\| `(HEITTO_\w+)` \| (\S+) \| (.+) \|$", README, re.MULTILINE)
    there_are = [
        (f"HEITTO_{name.upper()}", _shown(setting.get_default(call_default_factory=True)), setting.description)
        for name, setting in Settings.model_fields.items()
    ]
    assert listed == there_are


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Enum):
        default = default.value
    return "–" if default in ("", None, {}, ()) else f"`{default}`"


@pytest.mark.slow
def test_the_first_session_works_by_copy_and_paste() -> None:
    assert len(SESSION) == 6
    with _demo() as ready:
        script = "\n".join(SESSION)
        for written, here in (
            ("http://127.0.0.1:8000/graphql", ready["graphql"]),
            (".venv/bin/python", sys.executable),
            (".heitto/mail", f"{ready['folder']}/mail"),
        ):
            assert written in script
            script = script.replace(written, here)
        done = subprocess.run(
            ["sh", "-eu"],
            input=script,
            cwd=ROOT,
            env=_environment(ready),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    said = done.stdout
    assert (done.returncode, done.stderr) == (0, ""), said
    assert said.count('"errors":[]') == said.count('"errors":[') - 1  # the one that was meant to be refused
    assert '"title":"Penkki mäen päälle","status":"OPEN","responsible":{"name":"Helmi Aallonharja"' in said
    assert said.count('"voteCount":1,"viewerVote":{"strength":"EMAIL","counts":true}') == 2
    assert '"subject":{"viewerFollows":true}' in said
    assert '"leaderboard":{"nodes":[{"rank":1,"score":21,"idea":{"title":"Penkki mäen päälle"' in said
    events = [json.loads(event) for event in re.findall(r"^event: next\ndata: (.+)$", said, re.MULTILINE)]
    scores = [event["data"]["leaderboardChanged"][0]["score"] for event in events]
    assert {21, 20} <= set(scores)
    assert '"idea":null,"errors":[{"code":"REASONS_REQUIRED"' in said
    assert '"idea":{"status":"TRIAL","acceptsVotes":false}' in said
    assert '"viewer":{"unreadCount":2,"notifications"' in said
    assert said.count('"kind":"RESPONSE"') == said.count('"kind":"STATUS_CHANGED"') == 1
    assert said.count('"reasons":"Moni toivoi levähdyspaikkaa, ja penkki on varastossa."') == 2


@contextmanager
def _demo() -> Iterator[dict[str, Any]]:  # Any: what the line of JSON holds
    """What a fresh demo says of itself when it is ready."""
    with tempfile.TemporaryDirectory(prefix="heitto-readme-") as folder:
        command = [sys.executable, "-m", "backend", "demo", "--port", "0", "--json", "--data-dir", folder]
        with subprocess.Popen(command, cwd=ROOT, env=_environment({}), stdout=subprocess.PIPE, text=True) as demo:
            try:
                assert demo.stdout
                line = demo.stdout.readline()
                yield json.loads(line) | {"folder": folder}
            finally:
                demo.terminate()


def _environment(ready: dict[str, Any]) -> dict[str, str]:  # Any: likewise
    """That of a reader who has set nothing; the session's commands find the demo as if they ran in its folder."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("HEITTO_")}
    if not ready:
        return bare
    signing_key = Path(ready["folder"], "signing-key.pem")
    return {**bare, "HEITTO_DATABASE_URL": ready["databaseUrl"], "HEITTO_SIGNING_KEY_FILE": str(signing_key)}
