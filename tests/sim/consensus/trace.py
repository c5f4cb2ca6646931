"""A readable trace of a run: what each machine was told, wrote, said and applied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.core.consensus import records
from actors.core.consensus.group import Apply, Effects, Input, Receive, Tick
from actors.core.ports import LogEntry
from tests.sim.consensus.machine import Machine
from tests.sim.consensus.world import Simulation

__all__ = ["Trace"]


class Trace:
    """Writes a line for each thing that happens in a simulation."""

    def __init__(self, simulation: Simulation, write: Callable[[str], None]) -> None:
        self._simulation = simulation
        self._write = write
        write(f"profile: {simulation.profile}")
        simulation.watch = self

    def _say(self, node: str, what: str) -> None:
        self._write(f"{self._simulation.now:6} {node:3} {what}")

    def stepped(self, machine: Machine, event: Input, effects: Effects) -> None:
        """Tell of a step, unless it did nothing."""
        if isinstance(event, Receive):
            packet = event.packet
            heard = " ".join(map(_short, packet.messages))
            self._say(
                machine.name,
                f"<- {event.sender} e{packet.epoch} executed {packet.executed} clock "
                f"{packet.clock} floor {packet.floor} {dict(packet.attached)} {heard}",
            )
        elif not isinstance(event, Tick) or effects != Effects():
            self._say(machine.name, _short(event))
        for entry in effects.append:
            self._say(machine.name, f"   log {entry.index} {_record(entry)}")
        for to, packet in effects.send:
            said = " ".join(map(_short, packet.messages))
            self._say(machine.name, f"   -> {to} clock {packet.clock} {said}")
        for batch in effects.apply:
            self._say(machine.name, f"   {_applied(batch)}")
        if effects.refuse:
            self._say(machine.name, f"   refused {effects.refuse}")
        if effects.behind:
            self._say(machine.name, f"   {effects.behind}")

    def happened(self, node: str, what: str) -> None:
        """Tell of a fault or a boot."""
        self._say(node, what.upper())


def _short(thing: Any) -> str:
    fields = (
        f"{name}={getattr(thing, name)}"
        for name in thing.__struct_fields__
        if name not in ("command", "txn", "commands")
    )
    return f"{type(thing).__name__}({', '.join(fields)})"


def _record(entry: LogEntry) -> str:
    decoder = records.RECORDS.get(entry.kind)
    return "Batch" if decoder is None else _short(decoder.decode(entry.payload))


def _applied(batch: Apply) -> str:
    refs = [(t.session.node, t.session.seq) for t in batch.txns if t.session is not None]
    return f"applies {batch.index}: {refs}" + (f", then {batch.epoch}" if batch.epoch else "")
