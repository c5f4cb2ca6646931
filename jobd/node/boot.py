"""The life of a node process: open, recover, serve, and leave running jobs to their supervisor.

An empty node that has peers first forms a cluster with them, or joins one. A node that has received
a snapshot restarts in place on it: the process, its lock and its jobs stay.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from actors.errors import (
    ConfigError,
    Conflict,
    DataDirectory,
    JobdError,
    NoQuorum,
    OutcomeUnknown,
)
from actors.model.token import SCOPES
from actors.runtime.clock import SystemClock
from actors.runtime.link import Link
from jobd.api.audit import recorded
from jobd.api.gateway import RequestKey
from jobd.config import Config
from jobd.http.app import build_app, build_metrics_app, serve
from jobd.node.cluster_port import FLAG, endpoint, open_cluster_port
from jobd.node.data_directory import NodeDirectory, new_node_id, write_atomically
from jobd.node.wiring.entrance import Entrance, is_empty
from jobd.node.wiring.links import NODE_TYPES
from jobd.node.wiring.node import Node
from jobd.node.wiring.port_keys import open_keys
from jobd.node.wiring.snapshots import install_arrived

__all__ = ["Options", "run"]

_log: Final = logging.getLogger(__name__)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
# What the other threads do is short: let them have the interpreter soon (an fsync that is done
# waits for it otherwise up to 5 ms).
_SWITCH_INTERVAL_S: Final = 0.0005
_STOP_JOBS_S: Final = 30.0
_MINT_AGAIN_S: Final = 0.5


class Options(NamedTuple):
    """What is wished of one run of a node.

    `stop_jobs`: end what runs before the node stops. `join`: nodes of the cluster to join, with a
    one-time `token`.
    """

    stop_jobs: bool = False
    join: Sequence[str] = ()
    token: str = ""


def run(config: Config, options: Options) -> None:
    """Run a node until it is told to stop. Raises JobdError when it can't start or go on."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    os.umask(0o077)  # specs and output are nobody else's, also in a directory that others may enter
    # Locked until the process is gone: a thread that a hanging disk holds may be in a write.
    directory = NodeDirectory.open(Path(config.node.data), new_id=new_node_id())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_main(config, directory, options))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _main(config: Config, directory: NodeDirectory, options: Options) -> None:
    loop = asyncio.get_running_loop()
    stopping, signalled = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        signalled.set()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    install_arrived(directory.path)
    if not await _before(stopping, _enter(config, directory, options)):
        return
    while True:
        install_arrived(directory.path)
        config = await _serve(config, directory, stopping, stop_jobs=options.stop_jobs)
        if signalled.is_set():
            return
        stopping.clear()  # a snapshot has arrived: it goes on from that


async def _enter(config: Config, directory: NodeDirectory, options: Options) -> None:
    """Have an empty directory be of a cluster, where there are peers for one."""
    forms = len(config.cluster.bootstrap_peers) > 1
    if not is_empty(directory.path):
        if options.join and directory.cluster_id == directory.node_id:
            raise Conflict(
                f"{directory.path} has data of its own, and can't join another cluster",
                remedy="join with an empty directory; `jobctl store export` and `import` move data",
            )
        return
    if not (forms or options.join):
        return
    if forms and options.join:
        raise ConfigError(
            "cluster.bootstrap_peers are given and --join too",
            remedy="bootstrap_peers form a new cluster, --join is for one that there is",
        )
    address = _address("cluster.bind", FLAG, config.cluster.bind)
    keys = open_keys(directory.path, config.cluster, SystemClock())
    where = endpoint(address, has_keys=keys is not None)
    entrance = Entrance(config, directory, where, keys)
    try:
        if forms:
            await entrance.form()
        else:
            await entrance.join(options.join, options.token)
    finally:
        await entrance.close()


async def _serve(
    config: Config, directory: NodeDirectory, stopping: asyncio.Event, *, stop_jobs: bool
) -> Config:
    """Run a node until it stops, or is to restart in place, with the configuration returned.

    Raises what it can't go on with.
    """
    gc.disable()  # recovery makes a million objects and no garbage
    node = Node(config, directory)
    for future in (node.fatal, node.arrived):
        future.add_done_callback(lambda _: stopping.set())
    runners = []
    link = None
    try:
        node.start()
        gc.freeze()  # nor is what it made looked through again and again
        gc.enable()
        link = _serve_cluster(config, node, directory)
        node.open_links(link)
        runner, http = await _serve_http(config, node)
        runners.append(runner)
        metrics = None
        if config.telemetry.metrics:
            runner, metrics = await _serve_metrics(config, node)
            runners.append(runner)
        if await _before(stopping, _announce(config, directory, node, http, metrics)):
            await stopping.wait()
        if stop_jobs and not (node.fatal.done() or node.arrived.done()):
            stopping.clear()  # the next signal, or the disk's end, is not waited behind a job
            await _before(stopping, _stop_jobs(node))
        if not (node.fatal.done() or node.arrived.done()):
            await node.leave()
    except JobdError:
        if not node.fatal.done():  # else it is but a consequence
            raise
    finally:
        (directory.run / "node.json").unlink(missing_ok=True)
        for runner in runners:
            await runner.cleanup()
        if link is not None:
            link.close()
        if not node.fatal.done():
            await node.stop()
            _log.info("stopped; attempts that go on without it: %d", node.state.count("attempt"))
    if node.fatal.done():
        raise node.fatal.result()
    gc.unfreeze()
    return _at_ports(config, node.addresses)


def _at_ports(config: Config, bound: dict[str, str]) -> Config:
    """Return the configuration with the ports that were bound: a restart in place keeps them."""
    replace = msgspec.structs.replace
    config = replace(
        config,
        http=replace(config.http, bind=bound.get("http", config.http.bind)),
        cluster=replace(config.cluster, bind=bound.get("cluster", config.cluster.bind)),
    )
    if "metrics" not in bound:
        return config
    return replace(config, telemetry=replace(config.telemetry, metrics=bound["metrics"]))


async def _before(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Say whether work was done before the node was told to stop, or couldn't go on."""
    task, told = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not task.done():
        task.cancel()
        return False
    task.result()
    return True


def _serve_cluster(config: Config, node: Node, directory: NodeDirectory) -> Link:
    link, node.addresses["cluster"] = open_cluster_port(
        node.host,
        node.gateway,
        _address("cluster.bind", FLAG, config.cluster.bind),
        node=directory.node_id,
        incarnation=directory.incarnation,
        auth_enabled=config.auth.enabled,
        node_types=NODE_TYPES if config.cluster.enabled else (),
        keys=node.keys,
    )
    return link


async def _serve_http(config: Config, node: Node) -> tuple[Any, str]:
    host, port = _address("http.bind", "--http", config.http.bind)
    if not config.auth.enabled and host not in _LOOPBACK:
        raise ConfigError(
            f"http.bind {config.http.bind} is not loopback and authentication is off",
            remedy="leave out --insecure-no-auth, or bind to 127.0.0.1",
        )
    app = build_app(
        node.gateway,
        clock=node.host.clock.now_ms,
        auth_enabled=config.auth.enabled,
        allowed_hosts=config.http.allowed_hosts,
        record=node.spans.record,
    )
    runner, actual = await _bind(app, host, port, "--http")
    node.addresses["http"] = f"{host}:{actual}"
    return runner, f"{host}:{actual}"


async def _serve_metrics(config: Config, node: Node) -> tuple[Any, str]:
    host, port = _address("telemetry.metrics", "--metrics", config.telemetry.metrics)
    app = build_metrics_app(node.metrics.registry, allowed_hosts=config.http.allowed_hosts)
    runner, actual = await _bind(app, host, port, "--metrics")
    node.addresses["metrics"] = f"{host}:{actual}"
    return runner, f"{host}:{actual}"


async def _bind(app: Any, host: str, port: int, flag: str) -> tuple[Any, int]:
    try:
        return await serve(app, host, port)
    except ConfigError as error:
        raise ConfigError(error.message, remedy=f"give another address with {flag}") from None


def _address(key: str, flag: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(
            f"{key} {text!r} is not HOST:PORT", remedy=f"for example {flag} 127.0.0.1:8080"
        )
    return host.strip("[]"), int(port)


async def _announce(
    config: Config, directory: NodeDirectory, node: Node, http: str, metrics: str | None
) -> None:
    """Mint the admin token at the first start, and say where this node is found."""
    token_file = directory.path / "admin.token"
    node.audit.note(node.audit.own("start_node", f"/nodes/{directory.node_id}"))
    while not token_file.exists():
        try:
            await _mint(node, token_file)
        except (NoQuorum, OutcomeUnknown) as error:
            # A token that was put all the same is nobody's: only its hash is there.
            _log.info("the admin token is minted once there is a majority: %s", error)
            await asyncio.sleep(_MINT_AGAIN_S)
    url = f"http://{http}"
    found = {
        "url": url,
        "cluster": node.addresses["cluster"],
        "metrics": metrics,
        "pid": os.getpid(),
        "node": directory.node_id,
    }
    if node.keys is not None:
        found["cluster"] = f"{node.keys.own.public.hex()}@{found['cluster']}"
    write_atomically(directory.run / "node.json", json.dumps(found).encode())
    _point_to(directory.path)
    _log.info("node %s serves %s (data in %s)", directory.node_id, url, directory.path)


async def _mint(node: Node, token_file: Path) -> None:
    with recorded(node.audit, node.audit.own("create_token", "/tokens")):
        minted = await node.gateway.create_token(
            "admin", SCOPES, 0, request=RequestKey("node", None, "")
        )
    write_atomically(token_file, f"{minted.text}\n".encode(), sync=True)


def _point_to(data: Path) -> None:
    """Leave this user's other programs a note of where the node's data directory is."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        return
    try:
        folder = Path(runtime) / "jobd"
        folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(folder / "node.json", json.dumps({"data": str(data)}).encode())
    except (OSError, DataDirectory) as error:
        _log.warning("no note of this node in %s: %s", runtime, error)


async def _stop_jobs(node: Node) -> None:
    """End what runs, as long as that takes no longer than _STOP_JOBS_S; what waits is kept."""
    node.claim_no_more()
    try:
        async with asyncio.timeout(_STOP_JOBS_S):
            while running := _running(node):
                await asyncio.gather(*(_stop_job(node, job_id) for job_id in running))
    except TimeoutError:
        _log.warning("jobs go on that did not end within %g s: %d", _STOP_JOBS_S, len(running))


def _running(node: Node) -> list[str]:
    jobs = node.gateway.newest_jobs()
    return [job_id for job_id, entry in jobs if entry.noun.state == "running"]


async def _stop_job(node: Node, job_id: str) -> None:
    try:
        await node.gateway.cancel_job(job_id, "the node stops", None)
    except JobdError as error:
        _log.warning("job %s was not cancelled: %s", job_id, error)
    await node.gateway.wait_job(job_id, "terminal", _STOP_JOBS_S)
