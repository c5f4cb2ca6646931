"""A node with demo jobs of real work: what `scripts/run` runs. Ctrl-C ends the node and its jobs.

Arguments go to `jobd start`; the data directory is ./jobd-data unless --data or JOBD_DATA says so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jobd.cli.client import Client
from jobd.cli.discovery import Given, discover
from jobd.cli.failure import Failure
from jobd.dev.demo import PIPELINE, demo_jobs

REPOSITORY = Path(__file__).parent.parent.absolute()


def main() -> int:
    """Run the node, the jobs and the report; return the node's exit code."""
    os.chdir(REPOSITORY)
    command = [sys.executable, "-m", "jobd", "start", "--stop-jobs", "--log-level", "warning"]
    node = subprocess.Popen([*command, *sys.argv[1:]])
    # Ctrl-C reaches the node by itself: it is in this terminal too. Here it only ends the waiting.
    signal.signal(signal.SIGTERM, lambda *_: node.terminate())
    try:
        client = find_node(node)
        if client is not None:
            run_id = begin_pipeline(client)
            show(client, run_jobs(client), run_id)
        node.wait()
    except KeyboardInterrupt:
        print("\nstopping …", flush=True)
    except Failure as failure:
        print(f"{failure.cause}\n{failure.remedy}", file=sys.stderr)
        node.terminate()
        node.wait()
        return 1
    code = node.wait()
    if code >= 0:
        return code
    print(f"\nThe node was ended by signal {-code}. Its jobs go on; `jobd start` finds them.")
    return 128 - code


def data_directory() -> str:
    """Return where the node keeps its data."""
    given = (b for a, b in zip(sys.argv, sys.argv[1:], strict=False) if a == "--data")
    return next(given, os.environ.get("JOBD_DATA", "jobd-data"))


def find_node(node: subprocess.Popen[bytes]) -> Client | None:
    """Wait until the node takes work; None when it has ended instead.

    One that has the data directory already is another: ours is about to say so and end.
    """
    data = data_directory()
    note = Path(data, "run", "node.json")
    while node.poll() is None:
        try:
            if json.loads(note.read_bytes())["pid"] == node.pid:
                client = Client(lambda: discover(Given(data=data), os.environ))
                client.get("/readyz")
                return client
        except (Failure, OSError):
            pass
        time.sleep(0.05)
    return None


def begin_pipeline(client: Client) -> str:
    """Put the demo pipeline and begin a run of it; return its id."""
    path = f"/pipelines/{PIPELINE['name']}"
    client.request("PUT", path, body=PIPELINE)
    body = {"inputs": {"day": "today"}}
    run_id: str = client.submit(f"{path}/trigger", body=body).json["run_id"]
    print(
        f"triggered {PIPELINE['name']:12} {run_id}  four steps, one of which may fail", flush=True
    )
    return run_id


def run_jobs(client: Client) -> dict[str, dict[str, Any]]:
    """Submit all jobs at once, cancel the endless one, and return them as they ended."""
    ids = {}
    for title, spec in demo_jobs(REPOSITORY, ("README.md", "docs"), "*.md").items():
        made = client.submit("/jobs", body={"type": "command", **spec}).json
        ids[title] = made["id"]
        print(f"submitted {spec['name']:12} {made['id']}  {title}", flush=True)
    endless = list(ids.values())[-1]
    client.get(f"/jobs/{endless}", wait="10s", until="running")
    client.request("POST", f"/jobs/{endless}/cancel", body={"reason": "the demo has seen enough"})
    return {
        title: client.wait(f"/jobs/{id_}", wait="30s", until="terminal")
        for title, id_ in ids.items()
    }


def show(client: Client, jobs: dict[str, dict[str, Any]], run_id: str) -> None:
    """Print what became of the jobs and the run, what they produced and what to try next."""
    print()
    for job in jobs.values():
        detail = job["detail"] or job["reason"]
        print(f"{job['name']:12} {job['state']:10} attempt {job['attempt']}  {detail}")
    run = client.wait(f"/runs/{run_id}", wait="30s")
    print(f"{run['pipeline']:12} {run['state']}  {run['detail']}")
    checksum, words = list(jobs.values())[:2]
    archive = client.get(f"/jobs/{checksum['id']}/output")
    total = sum(client.get(f"/jobs/{words['id']}/output", task=task) for task in range(10))
    print(f"\ndocs.tgz has {archive['bytes']:,} bytes, sha256 {archive['sha256'][:16]}…")
    print(f"the documentation has {total:,} words")
    data = data_directory()
    found = "" if data == "jobd-data" else f"\n    export JOBD_DATA={data}"
    print(
        f"""
The node serves {client.url}, its token is in {data}/admin.token. In another terminal:

    source .venv/bin/activate{found}
    jobctl job list
    jobctl job logs {checksum["id"]}
    jobctl runs graph {run_id}
    jobctl run --cwd "$PWD" -- sha256sum README.md
    jobctl job create hello -t command "echo 'Hello, World!'"
    curl -H "Authorization: Bearer $(cat {data}/admin.token)" {client.url}/api/v1/status

Ctrl-C ends the node and its jobs.""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
