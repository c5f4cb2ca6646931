"""Spool directories are used again only as they were made, and never show an earlier attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends.job_supervisor.spool import Intent, Spool, read_exit
from actors.core.supervisor_protocol import ExitRecord


def key(name: str) -> str:
    return f"attempt/{name}/00000/0001"


def hold(spool: Spool, name: str, *, work: bool = True) -> Path:
    spool.register(Intent(1, key(name), 7, "i", "b"))
    directory = Path(spool.path(key(name)))
    if work:
        (directory / "work").mkdir(mode=0o700, exist_ok=True)
    return directory


def end(spool: Spool, name: str) -> None:
    spool.record(key(name), ExitRecord(reason="exit", code=3))


def test_a_directory_serves_again_and_shows_nothing_of_before(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    directory = hold(spool, "a")
    inode = directory.stat().st_ino
    for name in ("input.json", "output", "000000000000.chunk"):
        (directory / name).write_text("of a")
    end(spool, "a")
    assert not spool.forget(key("a"))
    assert not directory.exists()
    kept = [path for path in (tmp_path / "spool" / ".spare").rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_size for path in kept} == {"exit.new": 0, "intent.new": 0}
    again = hold(spool, "b")
    assert again.stat().st_ino == inode
    assert {path.name for path in again.iterdir()} == {"exit.new", "intent", "work"}
    assert read_exit(again) is None
    found = {attempt: intent for attempt, _, intent, _ in Spool(tmp_path).found()}
    assert found == {key("b"): Intent(1, key("b"), 7, "i", "b")}
    end(spool, "b")
    assert read_exit(again) == ExitRecord(reason="exit", code=3)


@pytest.mark.parametrize("how", ["full", "open", "outer", "no directory"])
def test_what_a_job_changed_is_thrown_away(tmp_path: Path, how: str) -> None:
    spool = Spool(tmp_path)
    directory = hold(spool, "a")
    work = directory / "work"
    if how == "full":
        (work / "left").write_text("behind")
    elif how == "open":
        work.chmod(0o777)
    elif how == "outer":
        directory.chmod(0o755)
    else:
        work.rmdir()
        work.symlink_to("/etc")
    end(spool, "a")
    assert spool.forget(key("a"))
    trash = spool.take_trash()
    assert trash is not None
    assert len(list(trash.iterdir())) == 1
    assert spool.take_trash() is None
    assert Path("/etc").is_dir()
    assert not (hold(spool, "b", work=False) / "work").exists()


def test_no_more_spares_than_are_of_use(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for i in range(70):
        hold(spool, f"j{i}", work=bool(i % 2))
        end(spool, f"j{i}")
    for i in range(70):
        assert not spool.forget(key(f"j{i}"))
    assert len(list((tmp_path / "spool" / ".spare").iterdir())) == 64
    assert Spool(tmp_path).take_trash() is not None  # a new instance begins with none
    assert list((tmp_path / "spool" / ".spare").iterdir()) == []
