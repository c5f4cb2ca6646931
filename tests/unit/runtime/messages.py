"""Messages and small actors that the runtime's tests share."""

from __future__ import annotations

import msgspec

from actors.runtime import Context, Effects, LoopActor, Reply, Stop, handles

__all__ = ["Bang", "Count", "Counter", "Finish", "Urgent"]


class Count(msgspec.Struct, frozen=True):
    """Add one; answered with the sum."""


class Bang(msgspec.Struct, frozen=True):
    """Crash."""

    why: str = "bang"


class Finish(msgspec.Struct, frozen=True):
    """Stop with this reason."""

    reason: str = "normal"


class Urgent(msgspec.Struct, frozen=True):
    """Overtakes the others; answered with the sum."""

    system_lane = True


class Counter(LoopActor):
    """Counts, crashes and stops on demand; `log` tells what its incarnations did."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name = name
        self.log = log if log is not None else []
        self.sum = 0

    def on_start(self) -> Effects:
        self.log.append(f"start {self.name}")
        return None

    def on_stop(self) -> None:
        self.log.append(f"stop {self.name}")

    @handles(Count, Urgent)
    def count(self, message: Count | Urgent, context: Context) -> Effects:
        self.sum += isinstance(message, Count)
        self.log.append(type(message).__name__)
        return [Reply(context.reply, self.sum)]

    @handles(Bang)
    def bang(self, message: Bang, context: Context) -> Effects:
        self.log.append("bang")
        raise RuntimeError(message.why)

    @handles(Finish)
    def finish(self, message: Finish, context: Context) -> Effects:
        return [Stop(message.reason)]
