"""jobctl secret and audit: where values come from, and what is said of a broken trail."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from actors.model import keys
from tests.unit.cli.conftest import Jobctl
from tests.unit.http.facade import Facade


def value_of(served: Facade, name: str = "db") -> str:
    opened: str = served.do(served.gateway.vault.open, name)
    return opened


def test_a_value_comes_from_stdin_or_a_file_as_it_is(
    served: Facade, jobctl: Jobctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("pä ss\n".encode())))
    first = jobctl("secret", "put", "db")
    assert (first.code, value_of(served)) == (0, "pä ss\n")
    file = tmp_path / "value"
    file.write_bytes(b"from a file")
    revision = first.out.decode().strip()
    assert jobctl("secret", "put", "db", "--from-file", str(file), "--create").code == 76
    put = jobctl("secret", "put", "db", "--from-file", str(file), "--if-match", revision)
    assert (put.code, value_of(served)) == (0, "from a file")
    assert jobctl("secret", "list", "-o", "name").out == b"secret/db\n"
    assert jobctl("secret", "put", "db", "--from-file", str(tmp_path / "none")).code == 64
    assert jobctl("secret", "delete", "db").code == 0
    assert served.gateway.state.get(keys.secret("db")) is None
    assert jobctl("secret", "delete", "db").code == 66


def test_a_value_is_no_argument(jobctl: Jobctl) -> None:
    assert jobctl("secret", "put", "db", "hunter2").code == 64


def test_a_terminal_prompts_twice_and_shows_nothing(served: Facade) -> None:
    own, other = pty.openpty()
    command = [sys.executable, "-m", "jobd.cli", "secret", "put", "db"]
    environment = {**os.environ, "JOBD_URL": served.url, "JOBD_TOKEN": served.token}
    with subprocess.Popen(
        command,
        env=environment,
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
        start_new_session=True,
    ) as process:
        os.close(other)
        said = b""
        for prompt in (b"Value of db", b"Repeat"):
            while prompt not in said:
                said += os.read(own, 1024)
            os.write(own, b"hunter2\n")
        assert process.wait(20) == 0
    os.close(own)
    assert b"hunter2" not in said
    assert value_of(served) == "hunter2"


def test_secrets_of_a_job_by_flag(served: Facade, jobctl: Jobctl, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("hunter2")
    jobctl("secret", "put", "db", "--from-file", str(file))
    made = jobctl("job", "create", "x", "--secret", "T=db", "--env", "A=1", "--", "true")
    assert made.code == 0, made.err
    entry = served.gateway.state.get(keys.spec(made.out.decode().strip()))
    assert entry is not None
    assert (entry.noun.environment, entry.noun.secrets) == ({"A": "1"}, {"T": "db"})
    for wrong in (("--secret", "T"), ("--secret", "A=db", "--env", "A=1")):
        assert jobctl("job", "create", "x", *wrong, "--", "true").code == 64


def test_the_trail_is_shown_and_checked(served: Facade, jobctl: Jobctl) -> None:
    jobctl("kv", "put", "a/b", "x")
    shown = jobctl("audit", "--operation", "put_value")
    assert b"/kv/a/b" in shown.out
    assert jobctl("audit", "verify").code == 0
    served.gateway.audit.lines[0] = b"{}"
    found = jobctl("audit", "verify")
    assert (found.code, "tampered" in found.err) == (76, True)
