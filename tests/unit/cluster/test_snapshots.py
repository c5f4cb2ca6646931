"""A snapshot on its way: whole, checked, resumed where it broke, and begun anew elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import addresses, limits
from actors.backends.event_segments import EventSegments
from actors.backends.state_sqlite import SqliteStateStore
from actors.core.consensus.position import Position, decode_position, encode_position
from actors.core.ports import Row, StateStore
from actors.core.snapshot import Arrived, NextRows, OpenSnapshot, placed
from actors.errors import StorageFailed, Unavailable
from actors.image_writer import ImageWriter
from actors.incoming import FetchSnapshot, Incoming
from actors.model.epoch import Epoch, Member
from actors.runtime import Context, Effect, Effects, Fail, LoopActor, SimHost, handles
from actors.snapshots import Snapshots
from jobd.node.wiring import snapshots
from jobd.node.wiring.snapshots import IncomingFolder, OutgoingFolder, install_arrived
from jobd.node.wiring.stores import open_events, open_store

EPOCH = Epoch(3, "c", (Member("n1"), Member("n2"), Member("n3")), 2, 40)
IDS = ((1, 1, ((1, 9),)),)
KEYS = 2_000


def position(index: int, reserved: int = 0, epoch: Epoch = EPOCH) -> bytes:
    return encode_position(Position(epoch, index, (7, (1, 1, 9)), IDS, reserved))


def fill(store: StateStore, index: int = 90, keys: int = KEYS) -> None:
    rows = [Row(f"kv/default/{i:05}", i + 1, b"\x01" + b"v" * 600) for i in range(keys)]
    store.write(rows, applied_index=77, revision=keys, sessions=b"s", position=position(index, 500))
    store.flush()


class Receiver:
    """A node that receives, and what it was told."""

    def __init__(self, data: Path, donors: tuple[str, ...]) -> None:
        self.data = data
        data.mkdir()
        self.arrived = 0
        self.failed: list[StorageFailed] = []
        self.files = IncomingFolder(data, "sqlite")
        self.actor = lambda: Incoming(
            self.files,
            cluster="c",
            donors=lambda: donors,
            arrived=self.count,
            fatal=self.failed.append,
        )

    def count(self) -> None:
        self.arrived += 1


class Donor:
    """A node that has executed 90 commands."""

    def __init__(self, host: SimHost, data: Path, name: str = "d1", index: int = 90) -> None:
        self.data = data
        store = SqliteStateStore.open(data / "state.sqlite")
        fill(store, index)
        self.digest = store.digest()
        events = EventSegments.open(data / "events", floor=(KEYS, 4))
        host.spawn(
            lambda: ImageWriter(store, events, applied_index=77, fatal=print), addresses.IMAGE
        )
        host.spawn(self.make, f"jobd://{name}/snapshots")

    def make(self) -> Snapshots:
        return Snapshots(OutgoingFolder(self.data, "sqlite"))


@pytest.fixture
def host() -> SimHost:
    return SimHost(3)


@pytest.fixture
def receiver(host: SimHost, tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "receiver", ("d1", "d2"))
    host.spawn(made.actor, addresses.INCOMING)
    yield made


def content(data: Path) -> tuple[str, Any]:
    store = open_store("sqlite", data)
    try:
        stored = store.load()
        rows = list(stored.rows)
        assert len(rows) == KEYS and rows[0].key == "kv/default/00000"
        return store.digest(), stored
    finally:
        store.close()


def test_it_arrives_whole_and_takes_the_place_of_the_image(
    host: SimHost, receiver: Receiver, tmp_path: Path
) -> None:
    donor = Donor(host, tmp_path / "donor")
    host.tell(addresses.INCOMING, FetchSnapshot("d1", 90))
    host.run_for(30)
    assert receiver.arrived == 1
    found = install_arrived(receiver.data)
    assert found is not None and found.revision == KEYS
    digest, stored = content(receiver.data)
    assert digest == donor.digest
    assert (stored.applied_index, stored.revision, stored.sessions) == (0, KEYS, b"s")
    at = decode_position(stored.position)
    assert (at.index, at.ids, at.epoch, at.reserved) == (90, IDS, EPOCH, 0)
    events = open_events(receiver.data / "events")
    assert (events.floor, events.last_revision) == ((KEYS, 4), KEYS)
    events.close()
    assert install_arrived(receiver.data) is None
    assert not (receiver.data / "incoming").exists()
    host.run_for(limits.SNAPSHOT_KEEP_S + 5)
    assert not (donor.data / "outgoing").exists()  # nobody asks for it any more


class Breaking(Snapshots):
    """A donor of which one page gets lost."""

    pages = 0
    lost = 2

    @handles(NextRows)
    def next_rows(self, message: NextRows, context: Context) -> Iterator[Effect]:
        type(self).pages += 1
        if self.pages == self.lost:
            yield Fail(context.reply, Unavailable("the link broke"))
        else:
            yield from super().next_rows(message, context)


def test_a_page_that_is_lost_is_asked_for_again(
    host: SimHost, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Donor, "make", lambda self: Breaking(OutgoingFolder(self.data, "sqlite")))
    donor = Donor(host, tmp_path / "donor")
    host.tell(addresses.INCOMING, FetchSnapshot("d1", 90))
    host.run_for(30)
    assert receiver.arrived == 1
    assert Breaking.pages == 2 + 2  # two pages and the end, one of them twice: nothing began anew
    install_arrived(receiver.data)
    assert content(receiver.data)[0] == donor.digest


class Gone(LoopActor):
    """A donor that has nothing."""

    @handles(OpenSnapshot)
    def open_snapshot(self, message: OpenSnapshot, context: Context) -> Effects:
        return [Fail(context.reply, Unavailable("no"))]


def test_a_donor_that_has_none_is_left_for_another(
    host: SimHost, receiver: Receiver, tmp_path: Path
) -> None:
    host.spawn(Gone, "jobd://d1/snapshots")
    Donor(host, tmp_path / "donor", name="d2")
    host.tell(addresses.INCOMING, FetchSnapshot("d1", 90))
    host.run_for(60)
    assert receiver.arrived == 1


def test_a_donor_that_is_behind_itself_gives_none(
    host: SimHost, receiver: Receiver, tmp_path: Path
) -> None:
    Donor(host, tmp_path / "donor", index=89)
    asked = host.ask("jobd://d1/snapshots", OpenSnapshot(90))
    host.run_for(5)
    with pytest.raises(Unavailable, match="89 commands"):
        asked.get(timeout=1)


def test_of_its_own_promises_a_node_keeps_the_reservation_of_the_same_epoch() -> None:
    later = Epoch(4, "c", EPOCH.members, 2, 95)
    assert decode_position(placed(position(20, 800), position(90, 500))).reserved == 800
    assert decode_position(placed(position(20, 800), position(97, 500, later))).reserved == 0
    assert decode_position(placed(b"", position(90, 500))).reserved == 0


# -- the change of images, cut short anywhere


class Crash(Exception):
    """The power went."""


def arrived(data: Path, own_index: int = 20) -> None:
    """Leave a node with an old image at index 20, and a complete snapshot beside it."""
    old = open_store("sqlite", data)
    old.write(
        [Row("kv/default/old", 1, b"\x01")],
        applied_index=12,
        revision=1,
        sessions=b"",
        position=position(own_index, 800),
    )
    old.flush()
    old.close()
    open_events(data / "events").close()
    files = IncomingFolder(data, "sqlite")
    store = files.begin()
    fill(store)
    store.close()
    files.complete(Arrived("sqlite", "c", KEYS, (KEYS, 4)))


def crashed_at(at: int, data: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Install, and crash before the step of that number; say whether there was one."""
    steps = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                raise Crash
            return original(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        patch.setattr(snapshots, "_sync", counted(snapshots._sync))
        try:
            install_arrived(data)
        except Crash:
            return True
    return False


def test_a_crash_at_any_step_leaves_the_new_image_after_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(1, 100):
        data = tmp_path / str(step)
        arrived(data)
        was_cut = crashed_at(step, data, monkeypatch)
        install_arrived(data)
        _, stored = content(data)
        assert stored.applied_index == 12  # our log goes on where the old image stood
        at = decode_position(stored.position)
        assert (at.index, at.reserved) == (90, 800)
        assert not (data / "incoming").exists()
        events = open_events(data / "events")
        assert events.floor == (KEYS, 4)
        events.close()
        if not was_cut:
            assert step > 8
            return


def test_a_node_that_has_come_as_far_by_itself_keeps_its_image(tmp_path: Path) -> None:
    arrived(tmp_path, own_index=90)
    assert install_arrived(tmp_path) is None
    assert not (tmp_path / "incoming").exists()
    store = open_store("sqlite", tmp_path)
    assert store.load().revision == 1
    store.close()
    events = open_events(tmp_path / "events")
    assert events.floor == (0, 0)
    events.close()


def test_what_is_not_complete_is_dropped(tmp_path: Path) -> None:
    arrived(tmp_path)
    (tmp_path / "incoming" / "complete").unlink()
    assert install_arrived(tmp_path) is None
    assert not (tmp_path / "incoming").exists()
    store = open_store("sqlite", tmp_path)
    assert store.load().revision == 1
    store.close()
