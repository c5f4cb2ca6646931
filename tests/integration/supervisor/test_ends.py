"""How jobs end: codes, signals, bounds, kills, spawn errors; each with its own exit record."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from actors.core.supervisor_protocol import Ack, ExitRecord, Kill, Launch, Output, Signal, Start
from tests.integration.supervisor.node import Node, attempt, is_alive, run, shell, spooled, text_of
from tests.parts import need


def one(data: Path, launch: Launch) -> ExitRecord:
    """Run one job to its end."""
    ends: list[ExitRecord] = []

    async def scenario(node: Node) -> None:
        ends.append(await node.run(launch))

    run(scenario, data)
    return ends[0]


def test_codes_signals_output_and_usage(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        end = await node.run(shell("echo out; echo err >&2; echo '[1]' >$JOBD_OUTPUT; exit 3"))
        assert (end.reason, end.code, end.signal, end.output) == ("exit", 3, None, b"[1]")
        assert end.log_seq == 2
        assert end.started_ms <= end.ended_ms
        assert text_of(tmp_path, stream=1) == b"out\n"
        assert text_of(tmp_path, stream=2) == b"err\n"
        end = await node.run(shell("kill -SEGV $$"), "k")
        assert (end.reason, end.code, end.signal) == ("signal", None, signal.SIGSEGV)
        end = await node.run(shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"), "c")
        assert end.code == 0
        assert end.cpu_ms > 5
        assert end.max_rss_bytes == 0  # below the supervisor's own size nobody knows
        hog = Launch(argv=(sys.executable, "-S", "-c", "b = b'x' * (64 << 20)"))
        assert 64 << 20 < (await node.run(hog, "h")).max_rss_bytes < 96 << 20

    run(scenario, tmp_path)


def test_input_environment_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "hunter2")
    script = "cat; cat $JOBD_INPUT; echo; pwd; umask; env; ls -l /proc/self/fd | wc -l"

    async def scenario(node: Node) -> None:
        launch = shell(
            script,
            environment={"A": "1", "PATH": "/usr/bin:/bin"},
            input_json=b'{"a":1}',
            stdin_input=True,
            umask=0o027,
        )
        assert (await node.run(launch)).code == 0
        lines = text_of(tmp_path).decode().splitlines()
        assert lines[0] == '{"a":1}{"a":1}'
        assert lines[1] == str(tmp_path / "spool" / spooled("j") / "work")
        assert lines[2] == "0027"
        names = {line.split("=")[0] for line in lines[3:-1]}
        shell_own = {"PWD", "SHLVL", "_", "OLDPWD"}
        assert names - shell_own <= {
            "PATH", "HOME", "LANG", "TZ", "A", "JOBD_INPUT", "JOBD_OUTPUT", "JOBD_ATTEMPT_KEY",
        }  # fmt: skip
        assert "A=1" in lines
        assert int(lines[-1]) == 5  # a total, 0, 1, 2 and ls's own directory

    run(scenario, tmp_path)


def test_no_new_privileges_no_core_default_signals(tmp_path: Path) -> None:
    assert one(tmp_path, shell("ulimit -c; grep -E 'NoNewPrivs|SigIgn|SigBlk' /proc/self/status"))
    text = text_of(tmp_path).decode().split()
    assert text[0] == "0"
    assert text[text.index("NoNewPrivs:") + 1] == "1"
    assert int(text[text.index("SigIgn:") + 1], 16) & 0x7FFFFFFF == 0  # 32 and 33 are glibc's own
    assert int(text[text.index("SigBlk:") + 1], 16) == 0


@pytest.mark.parametrize(
    ("launch", "reason"),
    [
        (shell("sleep 60", timeout_ms=150), "timeout"),
        (shell("echo a; sleep 60", idle_timeout_ms=150), "idle_timeout"),
        (shell("trap '' TERM; sleep 60", timeout_ms=150, kill_grace_ms=150), "timeout"),
    ],
)
def test_bounds_end_a_job(tmp_path: Path, launch: Launch, reason: str) -> None:
    end = one(tmp_path, launch)
    assert end.reason == reason
    assert end.signal in (signal.SIGTERM, signal.SIGKILL)
    assert 140 <= end.ended_ms - end.started_ms < 3000


def test_output_that_goes_on_is_not_idle(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done"
    assert one(tmp_path, shell(script, idle_timeout_ms=400)).reason == "exit"


def test_a_kill_gives_grace_then_takes_the_tree(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        pid = await node.start(
            shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        )
        await node.until(lambda: node.of(Output, "j"))
        node.client.send(Kill(attempt("j"), "cancelled", 10_000))
        end = await node.ended()
        assert (end.reason, end.code, end.kill_reason) == ("killed", 0, "cancelled")
        assert text_of(tmp_path, stream=1) == b"up\nbye\n"
        assert not is_alive(pid)
        await node.start(
            shell("trap '' TERM; echo up; sh -c 'trap \"\" TERM; sleep 60' & sleep 60"), "g"
        )
        await node.until(lambda: node.of(Output, "g"))
        began = asyncio.get_running_loop().time()
        node.client.send(Kill(attempt("g"), "cancelled", 200))
        end = await node.ended("g")
        assert (end.reason, end.signal) == ("killed", signal.SIGKILL)
        assert 0.19 < asyncio.get_running_loop().time() - began < 3
        stopped = await node.start(shell("sleep 60"), "s")
        os.kill(stopped, signal.SIGSTOP)
        node.client.send(Kill(attempt("s"), "cancelled", 10_000))
        assert (await node.ended("s")).signal == signal.SIGTERM

    run(scenario, tmp_path)


def test_a_signal_reaches_the_group(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(
            shell("trap 'echo usr; exit 9' USR1; echo up; while :; do sleep 0.02; done")
        )
        await node.until(lambda: node.of(Output, "j"))
        node.client.send(Signal(attempt("j"), signal.SIGUSR1))
        assert (await node.ended()).code == 9
        assert text_of(tmp_path, stream=1) == b"up\nusr\n"

    run(scenario, tmp_path)


def test_start_is_idempotent_and_a_killed_unknown_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    async def scenario(node: Node) -> None:
        launch = shell(f"echo x >>{mark}; sleep 0.2")
        for _ in range(3):
            node.client.send(Start(attempt("j"), 1, launch))
        await node.ended()
        node.client.send(Start(attempt("j"), 1, launch))
        node.client.send(Kill(attempt("k"), "cancelled", 0))
        node.client.send(Start(attempt("k"), 1, launch))
        end = await node.ended("k")
        assert (end.reason, end.kill_reason) == ("killed", "cancelled")
        assert mark.read_text() == "x\n"
        for name in "jk":
            node.client.send(Ack(attempt(name)))
        assert await node.held() == {}
        assert list((tmp_path / "spool").glob("[!.]*")) == []

    run(scenario, tmp_path)


def test_an_ack_of_a_running_job_is_nothing(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.start(shell("sleep 0.3; exit 4"))
        node.client.send(Ack(attempt("j")))
        assert (await node.held())[attempt("j")].state == "running"
        assert (await node.ended()).code == 4

    run(scenario, tmp_path)


def test_a_full_working_directory_goes_with_the_ack(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await node.run(shell("mkdir -p a/b; for i in 1 2 3; do echo $i >a/b/$i; done"))
        node.client.send(Ack(attempt("j")))
        assert await node.held() == {}
        for _ in range(200):
            if not list((tmp_path / "spool").glob("[!.]*")):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(list((tmp_path / "spool").glob("[!.]*")))

    run(scenario, tmp_path)


def _spawn_errors(tmp_path: Path) -> list[tuple[Launch, str, str]]:
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    script = tmp_path / "script"
    script.write_text("\x00\x01 nothing that runs")
    script.chmod(0o755)
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    return [
        (Launch(argv=("no-such-program",)), "not found in PATH", "full path"),
        (Launch(argv=(str(tmp_path / "none"),)), "No such file", "fix the path"),
        (Launch(argv=(str(plain),)), "Permission denied", "chmod +x"),
        (Launch(argv=(str(script),)), "Exec format error", "#!"),
        (Launch(argv=(str(orphan),)), "No such file", "interpreter"),
        (Launch(argv=("/bin/true", "x" * 200_000)), "Argument list too long", "input"),
        (Launch(argv=("/bin/true",), cwd="/no/such"), "can't be entered", "`cwd`"),
        (Launch(argv=("/bin/true",), user="no-such-user"), "no user", "create it"),
        (Launch(argv=("/bin/true",), kill_signal="NOPE"), "no signal", "kill -l"),
        (Launch(argv=("/bin/true", "a\0b")), "null", "shell"),
        (Launch(argv=(str(script),), nofile=64), "Exec format error", "#!"),
        (Launch(argv=("no-such-program",), nofile=64), "not found in PATH", "full path"),
        (Launch(argv=("/bin/true",), nofile=10**9), "`nofile` can't be set", "ask for less"),
    ]


def test_spawn_errors_say_cause_and_remedy(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        for i, (launch, cause, remedy) in enumerate(_spawn_errors(tmp_path)):
            end = await node.run(launch, f"e{i}")
            assert end.reason == "spawn", launch.argv
            assert cause in end.detail, end.detail
            assert remedy in end.detail, end.detail
            assert (end.code, end.signal, end.log_seq) == (None, None, 0)

    run(scenario, tmp_path / "data")


def test_rlimits(tmp_path: Path) -> None:
    script = (
        "ulimit -Sn; sleep 0.01; ulimit -Hn; dd if=/dev/zero of=big bs=1024 count=64 2>/dev/null"
    )
    end = one(tmp_path, shell(script, nofile=77, fsize_bytes=8192))
    assert text_of(tmp_path).startswith(b"77\n77\n")
    assert (tmp_path / "spool" / spooled("j") / "work" / "big").stat().st_size == 8192
    assert end.code == 128 + signal.SIGXFSZ or end.signal == signal.SIGXFSZ


def test_another_user(tmp_path: Path) -> None:
    need("root", os.geteuid() == 0, "only root becomes another user")
    end = one(tmp_path, shell("id -un; pwd; echo 1 >$JOBD_OUTPUT", user="nobody"))
    assert end.reason == "spawn"  # pytest's own directory is closed to others
    assert "can't reach" in end.detail


def test_another_user_in_an_open_place(tmp_path: Path) -> None:
    need("root", os.geteuid() == 0, "only root becomes another user")
    closed = [p for p in (tmp_path, *tmp_path.parents) if not p.stat().st_mode & 0o001]
    for directory in closed:
        directory.chmod(directory.stat().st_mode | 0o001)
    end = one(tmp_path, shell("id -un; touch here; echo 1 >$JOBD_OUTPUT", user="nobody"))
    assert (end.code, end.output) == (0, b"1"), end
    assert text_of(tmp_path) == b"nobody\n"


def test_output_bounds(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        big = "head -c 100000 /dev/zero | tr '\\0' 7 >$JOBD_OUTPUT"
        end = await node.run(shell(f"{big}; printf '\\n\\n' >>$JOBD_OUTPUT"))
        assert (end.output, end.output_size) == (None, 100_000)
        assert end.output_path is not None
        assert Path(end.output_path).read_bytes() == b"7" * 100_000
        end = await node.run(shell(big, output_bytes=1000), "o")
        assert "larger than 1000 bytes" in end.output_error
        end = await node.run(shell(f"{big}; sleep 60", output_bytes=1000), "r")
        assert (end.reason, end.kill_reason) == ("killed", "output")
        end = await node.run(shell("ln -s /etc/passwd $JOBD_OUTPUT"), "l")
        assert end.output is None
        assert end.output_error
        end = await node.run(shell("mkfifo $JOBD_OUTPUT"), "f")
        assert "regular file" in end.output_error

    run(scenario, tmp_path)


def test_the_supervisor_keeps_its_own_limits(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        limits = Path(f"/proc/{node.welcome.pid}/limits").read_bytes()
        await node.run(shell("true", nofile=32, fsize_bytes=1, nproc=100_000))
        await node.run(Launch(argv=("/no/such",), nofile=32, fsize_bytes=1), "f")
        assert Path(f"/proc/{node.welcome.pid}/limits").read_bytes() == limits

    run(scenario, tmp_path)


def test_what_jobs_leave_is_removed_while_others_leave_more(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        names = [f"t{i}" for i in range(60)]
        for name in names:
            node.client.send(Start(attempt(name), 1, shell("touch left")))
        for name in names:
            assert (await node.ended(name)).code == 0
            node.client.send(Ack(attempt(name)))
        assert await node.held() == {}
        assert not node.lost
        for _ in range(300):
            if not list((tmp_path / "spool").glob(".trash*")):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(list((tmp_path / "spool").glob(".trash*")))

    run(scenario, tmp_path)
