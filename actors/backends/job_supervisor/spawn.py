"""Turns a launch into a process.

Two ways, chosen by what is asked for. With no user and no cgroup: `posix_spawn`, which the C
library does by vfork. Otherwise fork, prepare, exec: it tells which step failed, and costs one and
a half milliseconds more, as each page that either process then touches is copied or faults.

What every job inherits is set once on the supervisor itself: no new privileges, no core files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import resource
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, NoReturn

from actors.backends.job_supervisor.process_tree import ATTEMPT_VARIABLE, marking
from actors.core.supervisor_protocol import Launch

__all__ = [
    "BASE_VARIABLES",
    "Child",
    "Plan",
    "SpawnError",
    "base_environment",
    "find_program",
    "find_user",
    "spawn",
]

BASE_VARIABLES: Final = ("PATH", "HOME", "LANG", "TZ")
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Python and the supervisor ignore or catch these; an ignored one would stay so in the job.
_RESET: Final = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGCHLD,
)


_Limit = tuple[str, int, int]  # its name in a launch, its number, its value


class SpawnError(Exception):
    """The job can't be spawned: one sentence of cause and remedy."""


class Child(NamedTuple):
    """A spawned process and our ends of its pipes (non-blocking)."""

    pid: int
    stdout: int
    stderr: int


class Plan(NamedTuple):
    """A launch with what the supervisor adds to it."""

    launch: Launch
    environment: dict[str, str]
    cwd: str
    stdin: str
    user: pwd.struct_passwd | None = None
    groups: Sequence[int] = ()  # of the user; looked up here, as that loads libraries
    join_files: Sequence[str] = ()

    @property
    def needs_fork(self) -> bool:
        """Whether something must be done between fork and exec."""
        return bool(self.user or self.join_files)


def _limits(launch: Launch) -> list[_Limit]:
    """Return the limits that are asked for."""
    every = (
        ("nofile", resource.RLIMIT_NOFILE, launch.nofile),
        ("fsize", resource.RLIMIT_FSIZE, launch.fsize_bytes),
        ("nproc", resource.RLIMIT_NPROC, launch.nproc),
    )
    return [(name, kind, value) for name, kind, value in every if value is not None]


def find_user(name: str) -> pwd.struct_passwd | None:
    """Return a user to become, None when that is who we are. Raises SpawnError."""
    try:
        user = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise SpawnError(
            f"there is no user {name!r} on this node; create it or name another in `user`"
        ) from None
    if user.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise SpawnError(
            f"only a node that runs as root can run a job as user {name!r}; leave `user` out"
        )
    return user


def find_program(argv0: str, path: str) -> str:
    """Return the file to execute, looked for as the shell does. Raises SpawnError."""
    if not argv0 or "\0" in argv0:
        raise SpawnError("`argv` names no program; its first item is the program to run")
    if "/" in argv0:
        return argv0
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{argv0}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):  # noqa: PTH112
            return candidate
    raise SpawnError(
        f"{argv0!r} was not found in PATH ({path}); install it on this node or give its full path"
    )


def spawn(plan: Plan) -> Child:
    """Spawn a job in a session of its own. Raises SpawnError, with nothing left behind."""
    opened: list[int] = []
    try:
        stdin = os.open(plan.stdin, os.O_RDONLY | os.O_CLOEXEC)
        opened.append(stdin)
        stdout, stdout_write = os.pipe2(os.O_CLOEXEC)
        opened += (stdout, stdout_write)
        stderr, stderr_write = os.pipe2(os.O_CLOEXEC)
        opened += (stderr, stderr_write)
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)
        start = _fork if plan.needs_fork else _posix_spawn
        with marking(plan.environment[ATTEMPT_VARIABLE]):
            pid = start(plan, (stdin, stdout_write, stderr_write))
    except OSError as error:
        _close(opened)
        raise SpawnError(f"the node is out of resources: {error.strerror}") from error
    except SpawnError:
        _close(opened)
        raise
    _close((stdin, stdout_write, stderr_write))
    return Child(pid, stdout, stderr)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _posix_spawn(plan: Plan, fds: tuple[int, int, int]) -> int:
    """Spawn at once, as a copy of what this process is for a moment. One thread: nobody sees it.

    The soft limits hold from the first instruction on; the hard ones, which this process could not
    raise again, follow at once. A child that the job has by then could raise its own.
    """
    limits = _limits(plan.launch)
    with _resembling(plan, limits):
        program = find_program(plan.launch.argv[0], plan.environment["PATH"])
        try:
            pid = os.posix_spawn(
                program,
                plan.launch.argv,
                plan.environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, i) for i, fd in enumerate(fds)],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET,
            )
        except (OSError, ValueError) as error:
            raise SpawnError(_explain("exec", error, plan)) from error
    for _, kind, value in limits:
        resource.prlimit(pid, kind, (value, value))
    return pid


@contextlib.contextmanager
def _resembling(plan: Plan, limits: Sequence[_Limit]) -> Iterator[None]:
    """Have this process's directory, umask and soft limits be the job's. Raises SpawnError."""
    before: list[tuple[int, tuple[int, int]]] = []
    umask = os.umask(plan.launch.umask)
    step = "cwd"
    try:
        os.chdir(plan.cwd)
        for name, kind, value in limits:
            step = name
            soft, hard = resource.getrlimit(kind)
            is_within = hard == resource.RLIM_INFINITY or value <= hard
            resource.setrlimit(kind, (value, hard if is_within else value))
            before.append((kind, (soft, hard)))
    except (OSError, ValueError) as error:
        raise SpawnError(_explain(step, error, plan)) from error
    else:
        yield
    finally:
        for kind, own in before:
            resource.setrlimit(kind, own)
        os.umask(umask)
        os.chdir("/")


def _fork(plan: Plan, fds: tuple[int, int, int]) -> int:
    """Fork, prepare, exec; a step that fails is told through a pipe that exec closes."""
    report, report_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _become(plan, fds, report_write)
    os.close(report_write)
    try:
        told = os.read(report, 4096)
    finally:
        os.close(report)
    if not told:
        return pid
    os.waitpid(pid, 0)
    step, number, message = told.decode().split("\0", 2)
    if step == "program":
        raise SpawnError(message)
    raise SpawnError(_explain(step, OSError(int(number), message), plan))


def _become(plan: Plan, fds: tuple[int, int, int], report: int) -> NoReturn:
    """In the forked child: everything up to exec. Never returns, never raises."""
    step = "prepare"
    try:
        signal.set_wakeup_fd(-1)
        for caught in _RESET:
            signal.signal(caught, signal.SIG_DFL)
        os.setsid()
        for i, fd in enumerate(fds):
            os.dup2(fd, i)
        for name, action in _steps(plan):
            step = name
            action()
        step = "program"
        program = find_program(plan.launch.argv[0], plan.environment["PATH"])
        step = "exec"
        os.execve(program, plan.launch.argv, plan.environment)  # noqa: S606
    except BaseException as error:
        number, cause = 0, str(error)
        if isinstance(error, OSError):
            number, cause = error.errno or 0, error.strerror or cause
        with contextlib.suppress(OSError):
            os.write(report, f"{step}\0{number}\0{cause}".encode(errors="replace")[:4096])
    os._exit(127)


def _steps(plan: Plan) -> list[tuple[str, Callable[[], object]]]:
    """What is done between fork and exec, in order; what needs root comes first."""
    launch, user = plan.launch, plan.user
    steps: list[tuple[str, Callable[[], object]]] = [
        ("cgroup", partial(_join, path)) for path in plan.join_files
    ]
    for name, kind, value in _limits(launch):
        steps.append((name, partial(resource.setrlimit, kind, (value, value))))
    if user is not None:
        steps += [
            ("user", partial(os.setgroups, plan.groups)),
            ("user", partial(os.setresgid, user.pw_gid, user.pw_gid, user.pw_gid)),
            ("user", partial(os.setresuid, user.pw_uid, user.pw_uid, user.pw_uid)),
            ("reach", partial(os.stat, plan.environment["JOBD_OUTPUT"])),
        ]
    steps += [("cwd", partial(os.chdir, plan.cwd)), ("umask", partial(os.umask, launch.umask))]
    return steps


def _join(procs: str) -> None:
    """Enter a cgroup. Few pages are touched: each is copied in a forked child."""
    os.write(os.open(procs, os.O_WRONLY | os.O_CLOEXEC), b"0")


def _explain(step: str, error: Exception, plan: Plan) -> str:
    """One sentence of cause and remedy."""
    launch = plan.launch
    program = launch.argv[0] if launch.argv else ""
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    number = error.errno if isinstance(error, OSError) else 0
    if step == "cwd":
        return (
            f"the working directory {plan.cwd!r} can't be entered ({cause}); create it or fix `cwd`"
        )
    if step == "user":
        return f"the node can't become user {launch.user!r} ({cause}); run the node as root"
    if step == "reach":
        return (
            f"user {launch.user!r} can't reach {plan.environment['JOBD_OUTPUT']} ({cause}); put the"
            " data directory where that user may pass (every directory above it needs o+x)"
        )
    if step == "cgroup":
        return f"the job's cgroup can't be joined ({cause}); leave `resources` out"
    if step != "exec":
        return f"the limit `{step}` can't be set ({cause}); ask for less or leave it out"
    remedies = {
        errno.ENOENT: "it, or the interpreter in its first line, does not exist: fix the path",
        errno.EACCES: "it is not executable: chmod +x it, or name its interpreter first",
        errno.ENOEXEC: "it is no program: begin it with a #! line, or name its interpreter first",
        errno.E2BIG: "arguments and environment are too large: pass them as `input`",
        errno.EAGAIN: "too many processes run: raise `nproc` or run fewer jobs",
    }
    remedy = remedies.get(number or 0, "see that it runs from a shell on this node")
    return f"{program!r} can't be executed ({cause}); {remedy}"


def base_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what every job sees of the node's own environment."""
    environment = {name: inherited[name] for name in BASE_VARIABLES if name in inherited}
    environment.setdefault("PATH", DEFAULT_PATH)
    return environment
