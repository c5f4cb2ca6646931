"""`jobd dev`: start a cluster on loopback with demo jobs, say what to try, end it all at Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from actors.errors import ConfigError, DataDirectory
from jobd.cli.client import Client
from jobd.cli.discovery import Given, discover
from jobd.cli.failure import Failure
from jobd.dev.cluster import DevCluster
from jobd.dev.control import Control
from jobd.dev.demo import ENDLESS, demo_jobs

__all__ = ["DIRECTORY", "run"]

DIRECTORY: Final = "jobd-dev"
_CANCEL_S: Final = 1.0
_ROOT: Final = Path(__file__).parents[2]

_TRY: Final = """
In another terminal{where}:

    jobctl node list
    jobctl job list
    jobctl dev kill node2            # as kill -9 does; freeze, cut and restart likewise
    jobctl run -- echo "still here"
    jobctl cluster members
    jobctl dev restart node2

Ctrl-C ends all of it{kept}."""


def run(count: int, data: str | None, http: str) -> None:
    """Run a cluster until SIGINT or SIGTERM. Without `data` it leaves nothing behind.

    Raises JobdError when it can't start.
    """
    host, _, port = http.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or int(port) > 65_535 - count:
        raise ConfigError(
            f"--http {http!r} is no port of loopback", remedy="for example --http 127.0.0.1:8080"
        )
    began = time.monotonic()
    os.umask(0o077)
    directory = Path(data or DIRECTORY).absolute()
    if data is None and directory.exists():
        _remove_leftover(directory)
    try:
        asyncio.run(_main(directory, count, ("127.0.0.1", int(port)), began, kept=data is not None))
    finally:
        if data is None:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_leftover(directory: Path) -> None:
    """Remove what a parent left behind that was killed. Raises DataDirectory when one lives."""
    if not (directory / "dev.json").exists():
        raise DataDirectory(
            f"{directory} is there, and not of `jobd dev`", remedy="give another one with --data"
        )
    with suppress(OSError, ValueError):
        pid = int((directory / "run" / "dev.pid").read_text())
        if Path(f"/proc/{pid}").exists():
            raise DataDirectory(
                f"{directory} is in use by process {pid}", remedy="give another one with --data"
            )
    shutil.rmtree(directory)


async def _main(
    directory: Path, count: int, http: tuple[str, int], began: float, *, kept: bool
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    cluster = await DevCluster.open(directory, count, http)
    (directory / "run" / "dev.pid").write_text(str(os.getpid()))
    control = Control(cluster)
    try:
        await control.open()
        work = asyncio.ensure_future(_show(cluster, began, kept=kept))
        told = asyncio.ensure_future(stopping.wait())
        await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await told
        work.cancel()
        click.echo("\nstopping …")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(_cancel_running, directory), _CANCEL_S)
    finally:
        control.close()
        await cluster.stop()


async def _show(cluster: DevCluster, began: float, *, kept: bool) -> None:
    await cluster.start()
    took_s = time.monotonic() - began
    click.echo(f"{len(cluster.nodes)} nodes are ready after {took_s:.1f} s\n")
    for node in cluster.nodes.values():
        click.echo(f"{node.name}  {node.url}  pid {node.pid}  {_shown(node.data)}")
    token = (cluster.directory / "admin.token").read_text().strip()
    click.echo(f"\nThe token {token}\nworks at each of them.\n")
    await asyncio.to_thread(_submit_demo, cluster.directory)
    shown = _shown(cluster.directory)
    where = "" if shown == DIRECTORY else f", after `export JOBD_DATA={shown}`"
    click.echo(_TRY.format(where=where, kept="" if kept else " and leaves nothing behind"))


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _client(directory: Path, timeout_s: float) -> Client:
    given = Given(data=str(directory))
    return Client(lambda: discover(given, os.environ), timeout_s=timeout_s)


def _submit_demo(directory: Path) -> None:
    client = _client(directory, 10.0)
    jobs = demo_jobs(_ROOT, ("actors", "jobd"), "*.py")
    for title, spec in jobs.items():
        made = client.submit("/jobs", body={"type": "command", **spec}).json
        click.echo(f"submitted {spec['name']:12} {made['id']}  {title}")
        if spec["name"] == ENDLESS:
            client.get(f"/jobs/{made['id']}", wait="10s", until="running")
            reason = {"reason": "the demo has seen enough"}
            client.request("POST", f"/jobs/{made['id']}/cancel", body=reason)


def _cancel_running(directory: Path) -> None:
    """Give what runs the chance to end in order; what does not is killed with its node."""
    deadline = time.monotonic() + _CANCEL_S
    try:
        client = _client(directory, _CANCEL_S)
        while time.monotonic() < deadline:
            running = client.get("/jobs", state="running", limit=500)["items"]
            if not running:
                return
            for job in running:
                client.request("POST", f"/jobs/{job['id']}/cancel", body={"reason": "it all ends"})
            time.sleep(0.05)
    except Failure as failure:
        click.echo(f"jobs were not cancelled: {failure.cause}", err=True)
