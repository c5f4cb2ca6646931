"""`python -m actors.backends.job_supervisor --data DIR`: become the job supervisor of a directory.

Started by the node's client, it leaves the node's session and process group at once, so that no
signal meant for the node reaches it. Ending it is a matter of having nothing left to hold.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from actors.backends.job_supervisor.cgroup import Cgroups
from actors.backends.job_supervisor.endpoint import RUN_MODE, bind, run_directory
from actors.backends.job_supervisor.supervisor import LINGER_S, Supervisor
from actors.backends.process_title import set_title

_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38


def main() -> int:
    """Leave the node, then serve; 0 at the end, also when another supervisor serves already."""
    parser = argparse.ArgumentParser(prog="jobd: job supervisor", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data.resolve()
    if os.fork():
        return 0  # the node waits for this one; the child is nobody's
    os.setsid()
    serve(data)
    return 0


def serve(data: Path, linger_s: float = LINGER_S) -> None:
    """Be the job supervisor of a data directory unless there is one, until nothing is held."""
    os.closerange(
        3, os.sysconf("SC_OPEN_MAX")
    )  # what the node's launcher left open goes no further
    run = run_directory(data)
    run.mkdir(mode=RUN_MODE, parents=True, exist_ok=True)
    lock = os.open(run / "jobs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    _redirect(run / "jobs.err")
    _set_inherited()
    set_title("jobd: job supervisor", "jobd: jobs")
    listener = bind(data)
    supervisor = Supervisor(data, listener, Cgroups(), linger_s)
    listener.listen(socket.SOMAXCONN)  # only now: whoever connects is served
    gc.freeze()
    supervisor.run()
    (run / "jobs.sock").unlink(missing_ok=True)


def _redirect(errors: Path) -> None:
    """Keep nothing of the node's own standard files."""
    null = os.open(os.devnull, os.O_RDWR)
    err = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(err, 2)
    os.close(null)
    os.close(err)


def _set_inherited() -> None:
    """Set once what every job is to inherit, and what lets this process outlive its node."""
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    os.chdir("/")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    for option in (_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS):
        if libc.prctl(option, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option})")


if __name__ == "__main__":
    sys.exit(main())
