"""The names and habits of Pykka that the runtime relies on, private ones among them.

When one of these fails after an upgrade, look at what changed in Pykka before anything else.
"""

from __future__ import annotations

import inspect

import pykka
from pykka import messages
from pykka._actor import Actor
from pykka._envelope import Envelope

from actors.runtime import ActorRef, LoopActor, LoopFuture, SimHost, ThreadActor
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox
from tests.unit.runtime.messages import Count, Counter


def test_our_classes_are_pykkas() -> None:
    assert issubclass(LoopActor, pykka.Actor)
    assert issubclass(ThreadActor, pykka.ThreadingActor)
    assert issubclass(LoopFuture, pykka.Future)
    assert issubclass(ActorRef, pykka.ActorRef)
    assert issubclass(Letter, Envelope)


def test_the_hooks_for_new_actor_types_are_where_they_were() -> None:
    assert Actor.__abstractmethods__ == {
        "_create_actor_inbox",
        "_create_future",
        "_start_actor_loop",
    }
    assert isinstance(LoopActor._create_actor_inbox(), Mailbox)
    assert isinstance(LoopActor._create_future(), LoopFuture)
    source = inspect.getsource(pykka.ThreadingActor._start_actor_loop)
    assert "target=self._actor_loop" in source and "self.use_daemon_thread" in source


def test_an_envelope_has_a_message_and_where_to_reply() -> None:
    assert Envelope.__slots__ == ["message", "reply_to"]
    envelope = Envelope("hello")
    mailbox = Mailbox(1)
    mailbox.put(envelope)
    mailbox.put(Envelope(messages._ActorStop()))
    assert mailbox.get() is envelope and not mailbox.empty()


def test_an_actor_of_ours_needs_nothing_of_pykkas_constructor() -> None:
    host = SimHost(1)
    ref = host.spawn(Counter, "jobd://a/counter")
    actor = host.cells["jobd://a/counter"].actor
    assert actor is not None and actor.actor_urn == "jobd://a/counter"
    assert pykka.ActorRegistry.get_all() == []
    ref.tell(Count())
    future = ref.ask(Count())
    host.run_for(1)
    assert future.get() == 2 and ref.is_alive()
    ref.stop()
    assert not ref.is_alive() and str(ref) == "jobd://a/counter"
