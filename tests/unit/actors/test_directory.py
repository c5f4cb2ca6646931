"""The directory of user actors: whose names are whose, and until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import limits
from actors.directory import Directory
from actors.errors import Busy, Conflict, Forbidden, InvalidInput, JobdError, NotFound
from actors.runtime import LoopFuture, Principal, SimHost
from actors.runtime.letter import RemoteLetter
from actors.runtime.registry import Entry, ListActors, Register, Resolve, Unregister
from tests.unit.runtime.messages import Counter

CLIENT = Principal("token", frozenset({"read", "run"}))


class World:
    """A directory, and processes a and b that speak to it."""

    def __init__(self) -> None:
        self.host = SimHost(1)
        self.host.spawn(Directory, "/directory")
        for process in "ab":
            self.host.spawn(Counter, f"jobd://{process}/counter")

    def says(self, process: str, message: object) -> Any:
        """Return the answer that a client's message gets, or raise its error."""
        future: LoopFuture[Any] = LoopFuture()
        letter = RemoteLetter(message, future, f"jobd://{process}/")
        letter.principal = CLIENT
        self.host.deliver("/directory", letter)
        self.host.run_until(lambda: future.done)
        return future.get(timeout=0)

    def register(self, process: str, name: str, **fields: Any) -> Any:
        given = {"namespace": "default", "address": f"jobd://{process}/counter", **fields}
        return self.says(process, Register(name, class_name="Counter", **given))


def test_a_name_is_found_until_its_actor_ends() -> None:
    world = World()
    entry = world.register("a", "one", methods=("count",))
    assert entry == Entry("one", "default", "jobd://a/counter", "Counter", ("count",))
    assert world.says("b", Resolve("one")) == entry
    assert world.register("a", "one") == entry  # said again
    world.host.stop("jobd://a/counter")
    world.host.run_for(1)
    with pytest.raises(NotFound, match="one"):
        world.says("b", Resolve("one"))


def test_a_crashed_process_loses_its_names() -> None:
    world = World()
    for name in ("one", "two"):
        world.register("a", name)
    world.register("b", "three")
    world.host.crash("jobd://a/")
    world.host.run_for(5)
    listing = world.says("b", ListActors())
    assert [each.name for each in listing.entries] == ["three"]
    assert world.register("b", "one").address == "jobd://b/counter"


def test_a_name_is_one_actor_s() -> None:
    world = World()
    world.register("a", "one")
    with pytest.raises(Conflict, match="jobd://a/counter"):
        world.register("b", "one")
    assert world.register("b", "one", get_if_exists=True).address == "jobd://a/counter"
    assert world.register("b", "one", namespace="team").address == "jobd://b/counter"
    world.says("b", Unregister("one"))
    assert world.says("b", Resolve("one")).address == "jobd://a/counter"
    world.says("a", Unregister("one"))
    assert world.register("b", "one").address == "jobd://b/counter"


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (Forbidden, lambda world: world.register("a", "one", address="jobd://b/counter")),
        (InvalidInput, lambda world: world.register("a", "One")),
        (InvalidInput, lambda world: world.register("a", "../x")),
        (InvalidInput, lambda world: world.register("a", "a" * 64)),
        (InvalidInput, lambda world: world.register("a", "one", namespace="")),
        (InvalidInput, lambda world: world.register("a", "one", address="/counter")),
        (InvalidInput, lambda world: world.register("a", "one", methods=("m" * 300,))),
        (InvalidInput, lambda world: world.register("a", "one", methods=("m",) * 300)),
    ],
)
def test_what_is_refused(error: type[JobdError], call: Callable[[World], object]) -> None:
    world = World()
    with pytest.raises(error):
        call(world)
    assert world.says("a", ListActors()).entries == ()


def test_lists_are_in_order_and_bounded() -> None:
    world = World()
    for n in (3, 1, 2):
        world.register("a", f"name-{n}")
        world.register("a", f"other-{n}", namespace="team")
    listed = world.says("a", ListActors("name"))
    assert [each.name for each in listed.entries] == ["name-1", "name-2", "name-3"]
    of_team = world.says("a", ListActors("", "team", 2))
    assert [each.name for each in of_team.entries] == ["other-1", "other-2"]
    assert of_team.has_more and not listed.has_more
    assert world.says("a", ListActors(limit=-1)).entries == ()


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(limits, "NAMES_PER_PROCESS", 2)
    monkeypatch.setattr(limits, "NAMES", 3)
    world.register("a", "one")
    world.register("a", "two")
    with pytest.raises(Busy, match="of a"):
        world.register("a", "three")
    world.register("b", "three")
    with pytest.raises(Busy, match="3 names"):
        world.register("b", "four")
    world.says("a", Unregister("one"))
    world.register("b", "four")


def test_what_is_kept_and_listed_of_an_actor_is_bounded() -> None:
    world = World()
    long = tuple("m" * 31 + chr(ord("a") + n % 26) for n in range(250))
    for n in range(80):
        world.register("a", f"n{n:02}", methods=long)
    listing = world.says("a", ListActors())
    assert listing.has_more
    assert 60 < len(listing.entries) < 80
    with pytest.raises(InvalidInput, match="in all"):
        world.register("a", "longer", methods=("m" * 200,) * 60)
