"""Cgroups on recorded trees: plain files that stand for hosts that can't be had here."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends.job_supervisor.cgroup import Cgroups, Group

V2_FILES = ("cgroup.procs", "cgroup.kill", "cgroup.events", "cgroup.subtree_control")


def plant(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def v2_host(tmp_path: Path, leaf: str = "") -> tuple[Cgroups, Path]:
    """A systemd host on which our service has Delegate=yes, and perhaps DelegateSubgroup."""
    root = plant(tmp_path / "cgroup", "cgroup.controllers")
    own = plant(root / "system.slice" / "jobd.service", *V2_FILES)
    ours = plant(own / "jobd", *V2_FILES)
    me = tmp_path / "self"
    me.write_text(f"0::/system.slice/jobd.service{leaf}\n")
    return Cgroups(root, me), ours


def hybrid_host(tmp_path: Path) -> tuple[Cgroups, Path]:
    root = tmp_path / "cgroup"
    plant(root / "unified", *V2_FILES)
    plant(root / "unified" / "jobd", *V2_FILES)
    plant(root / "memory" / "box" / "jobd", "cgroup.procs")
    plant(root / "cpu" / "jobd", "cgroup.procs")
    me = tmp_path / "self"
    me.write_text("8:pids:/\n4:memory:/box\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n")
    return Cgroups(root, me), root


def limited(cgroups: Cgroups) -> Group:
    group = cgroups.create("j.00000.0001")
    group.limit(memory_bytes=1 << 26, cpu_milli=1500)
    return group


def test_v2(tmp_path: Path) -> None:
    cgroups, ours = v2_host(tmp_path)
    assert cgroups.mode == "v2"
    assert (ours.parent / "cgroup.subtree_control").read_text() == "+memory +cpu"
    assert (ours / "cgroup.subtree_control").read_text() == "+memory +cpu"
    group = limited(cgroups)
    place = ours / "j.00000.0001"
    assert group.join_files == [str(place / "cgroup.procs")]
    assert (place / "memory.max").read_text() == str(1 << 26)
    assert (place / "memory.swap.max").read_text() == "0"
    assert (place / "cpu.max").read_text() == "150000 100000"
    (place / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
    assert group.out_of_memory()
    (place / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n")
    assert not group.out_of_memory()
    group.kill()
    assert (place / "cgroup.kill").read_text() == "1"


def test_v2_from_the_leaf_is_the_same_place(tmp_path: Path) -> None:
    """Else the groups of an earlier supervisor, which had moved us there, are never found."""
    first, ours = v2_host(tmp_path)
    first.create("j.00000.0001")
    second, _ = v2_host(tmp_path, "/jobd-main")
    assert second.find("j.00000.0001") is not None
    assert limited(second).join_files == [str(ours / "j.00000.0001" / "cgroup.procs")]


def test_hybrid(tmp_path: Path) -> None:
    cgroups, root = hybrid_host(tmp_path)
    assert cgroups.mode == "hybrid"
    group = limited(cgroups)
    name = "jobd/j.00000.0001"
    assert group.join_files == [
        str(root / part / name / "cgroup.procs") for part in ("unified", "memory/box", "cpu")
    ]
    assert (root / "memory" / "box" / name / "memory.limit_in_bytes").read_text() == str(1 << 26)
    assert (root / "cpu" / name / "cpu.cfs_quota_us").read_text() == "150000"
    control = root / "memory" / "box" / name / "memory.oom_control"
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert group.out_of_memory()
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert not group.out_of_memory()


def test_populated_and_found_again(tmp_path: Path) -> None:
    cgroups, ours = v2_host(tmp_path)
    assert cgroups.find("j.00000.0001") is None
    group = cgroups.create("j.00000.0001")
    events = ours / "j.00000.0001" / "cgroup.events"
    events.write_text("populated 1\nfrozen 0\n")
    again = cgroups.find("j.00000.0001")
    assert again is not None
    assert again.populated()
    events.write_text("populated 0\nfrozen 0\n")
    assert not group.populated()
    events.unlink()
    group.remove()
    assert cgroups.find("j.00000.0001") is None


def test_a_tiny_share_is_one_that_the_kernel_takes(tmp_path: Path) -> None:
    cgroups, ours = v2_host(tmp_path)
    cgroups.create("a").limit(memory_bytes=0, cpu_milli=1)
    assert (ours / "a" / "cpu.max").read_text() == "1000 100000"
    assert not (ours / "a" / "memory.max").exists()


@pytest.mark.parametrize(
    "lacking", ["everything", "kill", "controller", "own"]
)  # an old kernel; no delegation; no /proc
def test_none(tmp_path: Path, lacking: str) -> None:
    _, root = hybrid_host(tmp_path)
    me = tmp_path / "self"
    if lacking == "everything":
        root = tmp_path / "nothing"
    elif lacking == "kill":
        (root / "unified" / "jobd" / "cgroup.kill").unlink()
    elif lacking == "controller":
        me.write_text("3:cpu,cpuacct:/\n0::/\n")
    else:
        me.unlink()
    assert Cgroups(root, me).mode == "none"
