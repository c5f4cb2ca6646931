"""--watch in a pipe: a line of JSON for whatever is new or has changed. Terminals: integration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.unit.http.facade import Facade


@contextmanager
def watching(served: Facade, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    env = os.environ | {"JOBD_URL": served.url, "JOBD_TOKEN": served.token}
    command = [sys.executable, "-m", "jobd.cli", *args, "--watch"]
    watcher = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield watcher
    finally:
        watcher.kill()
        watcher.communicate()


def line(watcher: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert watcher.stdout is not None
    told: dict[str, Any] = json.loads(watcher.stdout.readline())
    return told


def submit(served: Facade, name: str) -> str:
    spec = {"name": name, "type": "command", "cmd": "x"}
    return str(served.api("POST", "/jobs", spec).json["id"])


def test_a_list_tells_what_is_new_or_has_changed(served: Facade) -> None:
    first = submit(served, "first")
    with watching(served, "job", "list") as watcher:
        assert (told := line(watcher))["id"] == first
        assert told == served.api("GET", "/jobs").json["items"][0]
        second = submit(served, "second")
        assert (line(watcher)["id"], second) == (second, second)
        attempt = served.do(served.gateway.start, first)
        told = line(watcher)
        assert (told["id"], told["state"]) == (first, "running")
        assert attempt.startswith(f"attempt/{first}/")
        watcher.send_signal(signal.SIGINT)
        out, err = watcher.communicate(timeout=10)
        assert (watcher.returncode, out, err.strip()) == (130, b"", b"")


def test_an_object_is_told_until_it_is_over(served: Facade) -> None:
    job_id = submit(served, "one")
    with watching(served, "job", "get", job_id) as watcher:
        assert line(watcher)["state"] == "pending"
        submit(served, "another")
        served.do(served.gateway.run, job_id, code=3)
        out, err = watcher.communicate(timeout=10)
        ended = json.loads(out.splitlines()[-1])
        assert (ended["state"], ended["exit_code"]) == ("failed", 3)
        assert {json.loads(told)["id"] for told in out.splitlines()} == {job_id}
        assert (watcher.returncode, err) == (0, b"")


def test_a_node_that_restarts_is_waited_for(served: Facade) -> None:
    before = submit(served, "before")
    with watching(served, "job", "list") as watcher:
        assert line(watcher)["id"] == before
        heard = submit(served, "heard")  # by the stream of events: it is open
        assert line(watcher)["id"] == heard
        served.stop_serving()
        served.serve(served.port)
        after = submit(served, "after")
        assert line(watcher)["id"] == after
