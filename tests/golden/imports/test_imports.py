"""What `jobctl import` makes of files as they are met, and what it says it could not.

`JOBD_GOLDEN=rewrite` writes what is expected anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.cli.__main__ import main
from jobd.cli.import_ import FORMATS

CASES = Path(__file__).with_name("cases")


def ran(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["import", *args])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_scheduler(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES)
    code, out, err = ran(capsys, name, name)
    found = f"exit {code}\n--- stdout\n{out}--- stderr\n{err}"
    golden = CASES / f"{name}.txt"
    if os.environ.get("JOBD_GOLDEN") == "rewrite":
        golden.write_text(found)
    assert golden.read_text() == found


def test_a_system_crontab_names_users(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_text("CRON_TZ=UTC\nHOME=/\n25 6 * * * root test -x /usr/sbin/anacron || true\n")
    code, out, _ = ran(capsys, "crontab", "--system", str(file))
    assert (code, "user: root" in out, "shell: test -x" in out) == (0, True, True)
    assert ran(capsys, "nomad", "--system", str(file))[0] == 64


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"a: [b"],
)
def test_nonsense_is_refused_in_a_sentence(
    name: str, text: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    code, _, err = ran(capsys, name, str(file))
    assert (code, "Traceback" in err) == (78, False)
