"""JOBD_STRICT_SERIALIZE=1: an actor gets what another process would get."""

from __future__ import annotations

import msgspec
import pytest

from actors.runtime import Context, Effects, LoopActor, Reply, SimHost, handles
from tests.unit.runtime.messages import Count, Counter


class Carry(msgspec.Struct, frozen=True):
    thing: object


class Carrier(LoopActor):
    @handles(Carry)
    def carry(self, message: Carry, context: Context) -> Effects:
        return [Reply(context.reply, message.thing)]

    @handles(str)
    def text(self, message: str, context: Context) -> Effects:
        return [Reply(context.reply, message)]


def test_messages_travel_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = (1, 2)
    loose = SimHost(1)
    loose.spawn(Carrier, "/carrier")
    assert loose.call("/carrier", Carry(shared)) is shared
    monkeypatch.setenv("JOBD_STRICT_SERIALIZE", "1")
    strict = SimHost(1)
    strict.spawn(Carrier, "/carrier")
    strict.spawn(Counter, "/counter")
    assert strict.call("/carrier", Carry(shared)) == [1, 2]
    assert strict.call("/counter", Count()) == 1
    with pytest.raises(TypeError):
        strict.call("/carrier", Carry(object()))
    with pytest.raises(TypeError, match=r"no msgspec\.Struct"):
        strict.call("/carrier", "text")
