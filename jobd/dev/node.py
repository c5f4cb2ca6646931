"""One node of a development cluster: a `jobd start` with a data directory and ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from jobd.dev.process_tree import below, die_with_parent

__all__ = ["DevNode", "Ports"]

_READY_S: Final = 2.0
_LOCK: Final = "jobs.lock"


class Ports(msgspec.Struct):
    """Ports of loopback. Other nodes reach it at `front`, which leads to `cluster`."""

    http: int
    cluster: int
    front: int
    metrics: int


class DevNode:
    """`fronts`: where all nodes of the cluster are reached, HOST:PORT, this one's included."""

    def __init__(self, name: str, data: Path, ports: Ports, fronts: Sequence[str]) -> None:
        self.name = name
        self.data = data
        self.ports = ports
        self._fronts = fronts
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @property
    def log(self) -> Path:
        """What it says."""
        return self.data.with_suffix(".log")

    @property
    def url(self) -> str:
        """Its HTTP API."""
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def pid(self) -> int | None:
        """Its process, None while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How its last process ended."""
        return self._process.returncode if self._process is not None else None

    @property
    def state(self) -> str:
        """running, frozen or stopped."""
        if self.pid is None:
            return "stopped"
        return "frozen" if self._frozen else "running"

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.pid is not None:
            return
        (self.data / "run" / "node.json").unlink(missing_ok=True)
        environment = os.environ | {
            "JOBD_CFG_CLUSTER__BOOTSTRAP_PEERS": ",".join(self._fronts),
            "JOBD_CFG_CLUSTER__ADVERTISE": f"127.0.0.1:{self.ports.front}",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "jobd", "start", *self._options()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is the parent's affair
                preexec_fn=die_with_parent,
            )
        self._frozen = False

    def _options(self) -> list[str]:
        options = ["--data", str(self.data), "--name", self.name, "--log-level", "warning"]
        for flag in ("http", "cluster", "metrics"):
            options += [f"--{flag}", f"127.0.0.1:{getattr(self.ports, flag)}"]
        return options

    def is_ready(self) -> bool:
        """Whether it takes work."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=_READY_S) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def note(self) -> dict[str, Any]:
        """Return what it says of itself once it serves, nothing before."""
        with suppress(OSError, ValueError):
            found = json.loads((self.data / "run" / "node.json").read_text())
            if isinstance(found, dict):
                return found
        return {}

    def token(self) -> str:
        """Return the token that it minted at its first start."""
        return (self.data / "admin.token").read_text().strip()

    def freeze(self) -> None:
        """Stop its process as it stands."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)
        self._frozen = False

    def terminate(self) -> None:
        """Tell it to stop."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)

    def kill(self, *, with_jobs: bool = False) -> None:
        """Kill -9; with its job supervisor and what that runs, as when a machine dies."""
        jobs = self._jobs() if with_jobs else []
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        for pid in jobs:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _jobs(self) -> list[int]:
        lock = str(self.data / "run" / _LOCK)
        for pid in below(os.getpid()):
            if pid != self.pid and _holds(pid, lock):
                return [pid, *below(pid)]
        return []

    def _signal(self, number: int) -> None:
        if self.pid is not None and self._process is not None:
            self._process.send_signal(number)


def _holds(pid: int, path: str) -> bool:
    with suppress(OSError):
        return any(str(fd.readlink()) == path for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False
