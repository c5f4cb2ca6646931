"""SimHost: the same seed gives the same run; order, faults, crashes and threads as promised."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from actors.errors import ActorUnavailable, AskTimeout, DeadLetter
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    Faults,
    LoopActor,
    Reply,
    SimHost,
    Tell,
    Terminated,
    ThreadActor,
    Watch,
    handles,
)


class Number(msgspec.Struct, frozen=True):
    value: int


class Seen(msgspec.Struct, frozen=True):
    pass


class Collector(LoopActor):
    def __init__(self) -> None:
        self.seen: list[int] = []

    @handles(Number)
    def number(self, message: Number, context: Context) -> Effects:
        self.seen.append(message.value)
        return [Reply(context.reply, message.value)]

    @handles(Seen)
    def report(self, message: Seen, context: Context) -> Effects:
        return [Reply(context.reply, list(self.seen))]


class Chatter(LoopActor):
    """Sends numbers at random moments, and asks one in three."""

    def __init__(self, target: str, count: int) -> None:
        self.target = target
        self.left = count
        self.outcomes: list[str] = []

    def on_start(self) -> Effects:
        return [After(self.rng.random(), Seen(), key="tick")]

    @handles(Seen)
    def tick(self, message: Seen, context: Context) -> Iterable[Effect]:
        self.left -= 1
        number = Number(self.left)
        if self.left % 3:
            yield Tell(self.target, number)
        else:
            yield Ask(self.target, number, self.left, timeout_s=1)
        if self.left:
            yield After(self.rng.random() / 100, Seen(), key="tick")

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> None:
        assert message.tag == message.value
        self.outcomes.append("answered")

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> None:
        self.outcomes.append(type(message.error).__name__)


class Disk(ThreadActor):
    """What it wrote is in `platter`, which outlives it."""

    def __init__(self, platter: list[int]) -> None:
        self.platter = platter

    @handles(Number)
    def write(self, message: Number, context: Context) -> Effects:
        self.platter.append(message.value)
        return [Reply(context.reply, len(self.platter))]


WILD = Faults(drop=0.1, duplicate=0.1, reorder=0.3, max_delay_s=0.05)


def chat(seed: int, faults: Faults) -> tuple[SimHost, Collector, list[Chatter]]:
    host = SimHost(seed, faults=faults)
    collector = Collector()
    host.spawn(lambda: collector, "jobd://a/collector")
    chatters = [Chatter("jobd://a/collector", 100) for _ in range(3)]
    for n, chatter in enumerate(chatters):
        host.spawn(lambda chatter=chatter: chatter, f"jobd://{'abc'[n]}/chatter")  # type: ignore[misc]
    host.run_until(100.0)
    return host, collector, chatters


def test_the_same_seed_gives_the_same_trace() -> None:
    first, second, other = (chat(seed, WILD)[0].trace_hash for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_faults_lose_double_and_reorder_between_nodes_only() -> None:
    _host, collector, chatters = chat(3, WILD)
    assert sorted(set(chatters[0].outcomes)) == ["answered"]  # same node as the collector
    assert "AskTimeout" in chatters[1].outcomes + chatters[2].outcomes
    assert len(collector.seen) != 300
    calm = chat(3, Faults())[1]
    assert len(calm.seen) == 300


def test_messages_between_two_actors_keep_their_order() -> None:
    host = SimHost(5)
    collector = Collector()
    host.spawn(lambda: collector, "jobd://a/collector")

    class Burst(LoopActor):
        def on_start(self) -> Effects:
            return [Tell("jobd://a/collector", Number(n)) for n in range(200)]

    host.spawn(Burst, "jobd://b/burst")
    host.run_until(10.0)
    assert collector.seen == list(range(200))


def test_a_cut_loses_messages_until_it_heals() -> None:
    host = SimHost(1)
    host.spawn(Collector, "jobd://a/collector")
    host.partition({"a"}, {"b", "c"})
    chatter = Chatter("jobd://a/collector", 30)
    host.spawn(lambda: chatter, "jobd://b/chatter")
    host.run_until(50.0)
    assert set(chatter.outcomes) == {"AskTimeout"}
    host.heal()
    after = Chatter("jobd://a/collector", 30)
    host.spawn(lambda: after, "jobd://c/chatter")
    host.run_until(100.0)
    assert set(after.outcomes) == {"answered"}


def test_a_crash_may_fall_between_the_write_and_its_answer() -> None:
    outcomes = set()
    for seed in range(40):
        host = SimHost(seed)
        platter: list[int] = []
        host.spawn(lambda platter=platter: Disk(platter), "jobd://a/disk")  # type: ignore[misc]
        future = host.ask("jobd://a/disk", Number(1), timeout_s=1)
        host.run_until(0.003)
        answered = future.done
        host.crash("jobd://a/")
        host.run_until(5.0)
        outcomes.add((len(platter), answered))
        if not answered:
            with pytest.raises((AskTimeout, ActorUnavailable)):
                future.get(timeout=0)
    assert outcomes == {(0, False), (1, False), (1, True)}


def test_a_crashed_node_is_noticed_and_comes_back() -> None:
    host = SimHost(2)
    ended: list[Terminated] = []

    class Watcher(LoopActor):
        def on_start(self) -> Effects:
            return [Watch("jobd://a/collector")]

        @handles(Terminated)
        def terminated(self, message: Terminated, context: Context) -> None:
            ended.append(message)

    host.spawn(Collector, "jobd://a/collector")
    host.spawn(Watcher, "jobd://b/watcher")
    host.crash("jobd://a/")
    with pytest.raises(DeadLetter):
        host.call("jobd://a/collector", Number(1))
    host.run_for(2)
    assert ended == [Terminated("jobd://a/collector", "killed")]
    host.spawn(Collector, "jobd://a/collector")
    assert host.call("jobd://a/collector", Number(4)) == 4


def test_the_wall_clock_steps_and_deadlines_do_not() -> None:
    host = SimHost(2)
    host.spawn(Collector, "jobd://a/collector")
    before = host.clock.now_ms()
    host.clock.step_ms -= 3_600_000
    assert host.clock.now_ms() == before - 3_600_000
    assert host.call("jobd://a/collector", Number(4), timeout_s=0.5) == 4
