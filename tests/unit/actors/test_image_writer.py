"""What the image makes durable, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import addresses
from actors.backends.event_segments import EventSegments
from actors.backends.state_memory import MemoryStateStore
from actors.core.consensus.group import Imaged
from actors.core.ports import Row
from actors.image_writer import CopyImage, ImageCopied, ImageWriter, ImageWritten, WriteImage
from actors.log_writer import Truncate
from actors.model.event import Event
from actors.runtime import Context, Effects, LoopActor, SimHost, Tell, handles

EVERY_S = 10.5


class Counted(MemoryStateStore):
    """Counts its flushes."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


class Replica(LoopActor):
    """Has the image written."""

    def __init__(self) -> None:
        super().__init__()
        self.imaged: list[int] = []

    @handles(WriteImage)
    def write(self, message: WriteImage, context: Context) -> Effects:
        return [Tell(addresses.IMAGE, message)]

    @handles(ImageWritten)
    def written(self, message: ImageWritten, context: Context) -> Effects:
        assert message.error is None
        return None

    @handles(Imaged)
    def image(self, message: Imaged, context: Context) -> Effects:
        self.imaged.append(message.index)
        return None


class Log(LoopActor):
    """Notes what it may drop."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[int] = []

    @handles(Truncate)
    def truncate(self, message: Truncate, context: Context) -> Effects:
        self.before.append(message.before)
        return None


@pytest.fixture
def store() -> Counted:
    return Counted()


@pytest.fixture
def host(store: Counted, tmp_path: Path) -> Iterator[SimHost]:
    events = EventSegments.open(tmp_path / "events")
    host = SimHost(1)
    host.spawn(lambda: ImageWriter(store, events, applied_index=0, fatal=print), addresses.IMAGE)
    host.spawn(Replica, addresses.REPLICA)
    host.spawn(Log, addresses.LOG)
    yield host
    events.close()


def write(host: SimHost, message: WriteImage) -> None:
    host.tell(addresses.REPLICA, message)
    host.run_for(EVERY_S)


def test_a_place_that_moved_alone_is_made_durable(host: SimHost, store: Counted) -> None:
    replica, log = (host.cells[a].actor for a in (addresses.REPLICA, addresses.LOG))
    assert isinstance(replica, Replica) and isinstance(log, Log)
    write(host, WriteImage((Row("kv/a", 1, b"\x01"),), (), 1, 1, b"", b"p1", 5))
    assert (store.flushes, replica.imaged, log.before) == (1, [5], [2])
    write(host, WriteImage((), (), 1, 1, b"", b"p2", 6))
    assert (store.flushes, replica.imaged) == (2, [5, 6])
    assert store.load().position == b"p2"
    host.run_for(3 * EVERY_S)
    assert store.flushes == 2  # nothing moved


def test_a_copy_says_which_event_is_its_last(host: SimHost, tmp_path: Path) -> None:
    event = Event(7, 2, 1_700_000_000_000, "test:made", "", {}, "")
    write(host, WriteImage((Row("kv/a", 7, b"\x01"),), (event,), 1, 7, b"", b"p", 5))
    asked = host.ask(addresses.IMAGE, CopyImage(str(tmp_path / "copy")))
    host.run_for(0.1)
    copied = asked.get(timeout=1)
    assert isinstance(copied, ImageCopied)
    assert (copied.revision, copied.last_event) == (7, (7, 2))
    copy = MemoryStateStore.open(tmp_path / "copy")
    assert (copy.digest(), copy.load().position) == (copied.digest, b"p")
