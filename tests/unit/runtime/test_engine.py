"""Effects, deadlines, watching, entities and dead letters, on virtual time."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from actors import limits
from actors.errors import AskTimeout, DeadLetter, MailboxFull, NotFound
from actors.runtime import (
    ActorRow,
    After,
    Answered,
    Ask,
    CancelTimer,
    Context,
    Effect,
    Effects,
    Fail,
    Failed,
    Faults,
    Inspect,
    LoopActor,
    Ping,
    Reply,
    ReplyTo,
    SimHost,
    Tell,
    Terminated,
    Watch,
    handles,
)
from actors.runtime.trace import CURRENT
from tests.unit.runtime.messages import Bang, Count, Counter, Finish, Urgent


class Do(msgspec.Struct, frozen=True):
    """Return these effects."""

    effects: list[Effect]


class Doer(LoopActor):
    """Returns the effects that it is told to, and notes what comes back."""

    def __init__(self) -> None:
        self.got: list[object] = []

    @handles(Do)
    def do(self, message: Do, context: Context) -> Effects:
        return message.effects

    @handles(Answered, Failed, Terminated, Count)
    def note(self, message: object, context: Context) -> None:
        self.got.append(message)


def doer(host: SimHost, address: str = "/doer") -> Doer:
    actor = Doer()
    host.spawn(lambda: actor, address)
    return actor


def test_an_answer_comes_back_as_a_message() -> None:
    host = SimHost(1)
    actor = doer(host)
    host.spawn(Counter, "/counter")
    host.tell("/doer", Do([Ask("/counter", Count(), "a"), Ask("/nobody", Count(), ("b", 2))]))
    host.run_for(1)
    failed, answered = sorted(actor.got, key=repr, reverse=True)
    assert answered == Answered("a", 1)
    assert isinstance(failed, Failed) and failed.tag == ("b", 2)
    assert isinstance(failed.error, DeadLetter)


def test_a_kept_reply_may_be_used_in_a_later_turn_and_once() -> None:
    class Later(LoopActor):
        kept: ReplyTo | None = None

        @handles(Count)
        def ask(self, message: Count, context: Context) -> Effects:
            self.kept = context.reply
            return [After(1, Finish())]

        @handles(Finish)
        def answer(self, message: Finish, context: Context) -> Iterable[Effect]:
            yield Fail(self.kept, NotFound("gone"))
            yield Reply(self.kept, "ignored")

    host = SimHost(1)
    host.spawn(Later, "/later")
    with pytest.raises(NotFound):
        host.call("/later", Count())
    assert host.clock.monotonic_s() >= 1


def test_an_ask_ends_at_its_deadline_and_is_not_run_after_it() -> None:
    host = SimHost(1, faults=Faults(turn_s=1.0))  # every turn comes late
    log: list[str] = []
    host.spawn(lambda: Counter("c", log), "/counter")
    futures = [host.ask("/counter", Count(), timeout_s=0.001) for _ in range(5)]
    host.run_for(10)
    assert log == ["start c"]
    for future in futures:
        with pytest.raises(AskTimeout):
            future.get(timeout=0)
    host = SimHost(1)
    actor = doer(host)
    host.spawn(Doer, "/silent")
    host.tell("/doer", Do([Ask("/silent", Count(), 1, timeout_s=0.2)]))
    host.run_for(0.15)
    assert actor.got == []
    host.run_for(0.15)
    assert isinstance(actor.got[0], Failed) and isinstance(actor.got[0].error, AskTimeout)


def test_timers_fire_are_replaced_and_cancelled() -> None:
    host = SimHost(1)
    actor = doer(host)
    host.tell("/doer", Do([After(1, Count(), key="k"), After(2, Count(), key="k")]))
    host.run_until(1.5)
    assert actor.got == []
    host.run_until(2.5)
    assert len(actor.got) == 1
    host.tell("/doer", Do([After(1, Count(), key="k"), CancelTimer("k"), CancelTimer("none")]))
    host.tell("/doer", Do([After(1, Count()), After(1, Count())]))
    host.run_until(9.0)
    assert len(actor.got) == 3


def test_a_handler_that_raises_has_had_no_effect() -> None:
    class Halfway(LoopActor):
        @handles(Bang)
        def bang(self, message: Bang, context: Context) -> Iterable[Effect]:
            yield Tell("/doer", Count())
            raise RuntimeError("halfway")

        @handles(Count)
        def wrong(self, message: Count, context: Context) -> Effects:
            return ["no effect"]  # type: ignore[list-item]

    host = SimHost(1)
    actor = doer(host)
    host.spawn(Halfway, "/halfway", restart="temporary")
    host.tell("/halfway", Bang())
    host.run_for(1)
    assert actor.got == [] and "/halfway" not in host.cells
    host.spawn(Halfway, "/halfway", restart="temporary")
    host.tell("/halfway", Count())
    host.run_for(1)
    assert "/halfway" not in host.cells


def test_overflow_fails_an_ask_and_makes_a_tell_a_dead_letter() -> None:
    class Small(Counter):
        mailbox_limit = 2

    host = SimHost(1)
    host.spawn(Small, "/small")
    futures = [host.ask("/small", Count()) for _ in range(3)]
    host.tell("/small", Count())
    urgent = host.ask("/small", Urgent())
    host.run_for(1)
    assert [futures[0].get(), futures[1].get(), urgent.get()] == [1, 2, 0]
    with pytest.raises(MailboxFull):
        futures[2].get()
    [row] = host.dead_letters.rows()
    assert (row.to, row.message, row.reason) == ("/small", "Count", "mailbox_full")


def test_an_unknown_message_is_a_dead_letter_and_no_crash() -> None:
    host = SimHost(1)
    host.spawn(Doer, "/doer")
    with pytest.raises(DeadLetter, match="Doer has no handler for Urgent"):
        host.call("/doer", Urgent())
    host.tell("/doer", Urgent())
    host.tell("/nobody", Urgent())
    host.run_for(1)
    assert host.dead_letters.by_reason == {"dead_letter": 2}
    assert host.cells["/doer"].incarnation == 1


def test_dead_letters_are_bounded_and_counted() -> None:
    host = SimHost(1)
    for _ in range(limits.DEAD_LETTERS_KEPT + 5):
        host.tell("/nobody", Count())
    assert len(host.dead_letters.rows()) == limits.DEAD_LETTERS_KEPT
    assert host.dead_letters.count == limits.DEAD_LETTERS_KEPT + 5


def test_watchers_hear_of_the_end_but_not_of_a_restart() -> None:
    host = SimHost(1)
    actor = doer(host)
    host.spawn(Counter, "/counter")
    host.tell("/doer", Do([Watch("/counter"), Watch("/nobody")]))
    host.tell("/counter", Finish())
    host.run_for(1)
    assert actor.got == [Terminated("/nobody", "unknown")]
    host.stop("/counter", "drained")
    host.run_for(1)
    assert actor.got[1:] == [Terminated("/counter", "drained")]


def test_ping_and_inspect_are_answered_from_the_turn() -> None:
    host = SimHost(1)
    host.spawn(Counter, "/counter")
    host.call("/counter", Count())
    assert host.call("/counter", Ping()) == 1
    row = host.call("/counter", Inspect())
    assert row == ActorRow("/counter", "Counter", 0, 3, 0, "running", 1)


def test_entities_start_on_a_message_and_go_when_idle() -> None:
    host = SimHost(1)
    log: list[str] = []
    host.entities("/run/", lambda address: Counter(address, log), idle_s=60)
    assert host.call("/run/7", Count()) == 1
    assert host.call("/run/7", Count()) == 2
    assert [line for line in log if line.startswith("start")] == ["start /run/7"]
    host.run_for(55)
    assert host.call("/run/7", Count()) == 3
    host.run_for(55)
    assert "/run/7" in host.cells
    host.run_for(60)
    assert "/run/7" not in host.cells and log[-1] == "stop /run/7"
    assert host.call("/run/7", Count()) == 1  # anew
    with pytest.raises(DeadLetter):
        host.call("/run/", Count())
    with pytest.raises(ValueError):
        host.entities("/run/", lambda address: Counter(address, log))


def test_an_entity_that_waits_for_something_is_not_idle() -> None:
    host = SimHost(1)
    host.entities("/do/", lambda address: Doer(), idle_s=1)
    host.tell("/do/1", Do([After(10, Count())]))
    host.spawn(Doer, "/silent")
    host.tell("/do/2", Do([Ask("/silent", Count(), 0, timeout_s=5)]))
    host.run_for(4)
    assert {"/do/1", "/do/2"} <= set(host.cells)
    host.run_for(12)
    assert set(host.cells) == {"/silent"}


def test_an_entity_that_keeps_crashing_ends_and_takes_nobody_along() -> None:
    fatal: list[str] = []
    host = SimHost(1, on_fatal=lambda reason, error: fatal.append(reason))
    host.entities("/run/", lambda address: Counter(address))
    for _ in range(3):
        host.tell("/run/1", Bang())
    host.run_for(1)
    assert fatal == [] and "/run/1" not in host.cells
    assert host.call("/run/1", Count()) == 1


def test_the_trace_of_a_message_is_that_of_what_it_causes() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    class Traced(LoopActor):
        @handles(Count)
        def count(self, message: Count, context: Context) -> Effects:
            seen.append((self.address, context.trace, CURRENT.get()))
            return [Tell("/b", Urgent())] if self.address == "/a" else None

        @handles(Urgent)
        def urgent(self, message: Urgent, context: Context) -> Effects:
            seen.append((self.address, context.trace, CURRENT.get()))
            return [After(1, Count())]

    host = SimHost(1)
    host.spawn(Traced, "/a")
    host.spawn(Traced, "/b")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    host.tell("/a", Count(), trace=parent)
    host.run_for(2)
    assert seen == [(address, parent, parent) for address in ("/a", "/b", "/b")]
    assert CURRENT.get() is None


def test_a_class_says_at_once_what_is_wrong_with_its_handlers() -> None:
    with pytest.raises(TypeError, match="awaits"):

        class Awaits(LoopActor):
            @handles(Count)
            async def count(self, message: Count, context: Context) -> None: ...

    with pytest.raises(TypeError, match="twice"):

        class Twice(LoopActor):
            @handles(Count)
            def one(self, message: Count, context: Context) -> None: ...

            @handles(Count)
            def two(self, message: Count, context: Context) -> None: ...


def test_a_handler_of_a_base_type_is_inherited_and_may_be_overridden() -> None:
    class Louder(Count, frozen=True):
        pass

    class Tens(Counter):
        @handles(Count)
        def tens(self, message: Count, context: Context) -> Effects:
            self.sum += 10
            return [Reply(context.reply, self.sum)]

    host = SimHost(1)
    host.spawn(Counter, "/counter")
    host.spawn(Tens, "/tens")
    assert host.call("/counter", Louder()) == 1
    assert host.call("/tens", Louder()) == 10


def test_ids_are_minted_from_the_clock() -> None:
    host = SimHost(1)
    actor = doer(host)
    first = actor.new_id()
    host.run_for(1)
    assert first < actor.new_id() and len(first) == 26


def test_an_ask_without_a_timeout_leaves_nothing_behind() -> None:
    host = SimHost(1)
    actor = doer(host)
    host.spawn(Counter, "/counter")
    for n in range(100):
        host.tell("/doer", Do([Ask("/counter", Count(), n, timeout_s=None)]))
        host.run_for(0.1)
    assert [signal.tag for signal in actor.got if isinstance(signal, Answered)] == list(range(100))
    assert not host.deadlines._buckets
