"""Some replicas of one epoch whose messages are delivered by hand: for scenarios.

The disk is instant, unless a replica is told to hold its records; what is not delivered is lost.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import msgspec

from actors.core.consensus.chain import Chain
from actors.core.consensus.group import Apply, Submit
from actors.core.consensus.known_command import KnownCommand
from actors.core.consensus.messages import CommandId, Message, Packet
from actors.core.consensus.recovery_of_log import Recovery, found
from actors.core.consensus.tempo import Tempo
from actors.core.ports import LogEntry
from actors.core.store.txn import Txn
from actors.model.epoch import Epoch, Member
from tests.sim.violation import ViolationError

__all__ = ["Mail", "Replicas"]


class Mail(NamedTuple):
    """A message on its way, with the statement of its packet."""

    sender: int
    to: int
    message: Message
    packet: Packet


class Replicas:
    """`of[1]` to `of[n]` are the replicas; `mail` is what nobody has taken yet."""

    def __init__(self, n: int, quorum_size: int, *, durable_decisions: bool = True) -> None:
        members = tuple(Member(f"n{j}") for j in range(1, n + 1))
        self.epoch = Epoch(1, "sim", members, quorum_size)
        self.mail: list[Mail] = []
        self.logs: dict[int, list[LogEntry]] = {j: [found(self.epoch)] for j in range(1, n + 1)}
        self.order: dict[int, list[CommandId]] = {j: [] for j in self.logs}
        self.final: dict[CommandId, int] = {}
        self.holding: set[int] = set()  # replicas whose disk is slow
        self._durable = durable_decisions
        self._incarnations = dict.fromkeys(self.logs, 0)
        self._chains: dict[int, Chain] = {}
        for j in self.logs:
            self.restart(j)

    @property
    def of(self) -> dict[int, Tempo]:
        """The replicas by their number."""
        return {j: cast(Tempo, chain._group) for j, chain in self._chains.items()}

    # -- what a scenario does

    def restart(self, j: int) -> None:
        """Start a replica on its log; what it held is lost."""
        self._incarnations[j] += 1
        recovery = Recovery(f"n{j}", "sim", b"", 0)
        self.order[j] = []
        for entry in self.logs[j]:
            self._executed(j, recovery.replay(entry), recovery._past)
        self._chains[j] = recovery.finish(
            len(self.logs[j]), self._incarnations[j], durable_decisions=self._durable
        )
        self.holding.discard(j)
        self.settle(j)

    def submit(self, j: int, name: str = "x") -> CommandId:
        """Have a replica coordinate a command; return its id."""
        replica = self.of[j]
        before = set(replica.replica.known)
        replica.submit(Submit(0, Txn((), ((f"kv/{name}", b""),))))
        self.settle(j)
        return next(id_ for id_ in replica.replica.known if id_ not in before)

    def recover(self, j: int, id_: CommandId, above: int = 0) -> None:
        """Have a replica lead a recovery, at a ballot above one."""
        command = self.known(j, id_)
        command.nacked = max(command.nacked, above)
        self.of[j].recoveries.begin(command)
        self.settle(j)

    def known(self, j: int, id_: CommandId) -> KnownCommand:
        """Return what a replica knows of a command."""
        return self.of[j].replica.known[id_]

    def bump(self, j: int, ts: int) -> None:
        """Move a replica's clock."""
        self.of[j].replica.bump(ts)
        self.of[j].replica.journal.hurry()
        self.settle(j)

    def deliver(
        self, kind: type[Message], *, to: tuple[int, ...] = (), sender: int = 0
    ) -> list[Mail]:
        """Deliver what is on its way of a kind; nothing else. Returns it, for late repeats."""
        wanted = [m for m in self.mail if self._fits(m, kind, to, sender)]
        assert wanted, f"no {kind.__name__} is on its way to {to or 'anybody'}"
        for mail in wanted:
            self.mail.remove(mail)
            self.take(mail)
        return wanted

    def lose(self, kind: type[Message], *, to: tuple[int, ...] = (), sender: int = 0) -> None:
        """Lose what is on its way of a kind."""
        self.mail = [m for m in self.mail if not self._fits(m, kind, to, sender)]

    def _fits(self, mail: Mail, kind: type[Message], to: tuple[int, ...], sender: int) -> bool:
        return (
            isinstance(mail.message, kind)
            and (not to or mail.to in to)
            and (not sender or mail.sender == sender)
        )

    def letter(self, sender: int, to: int, message: Message) -> Mail:
        """Make a message that nobody has sent, or that came once already."""
        return Mail(sender, to, message, self._chains[sender]._packet(f"n{to}", (message,)))

    def take(self, mail: Mail) -> None:
        """Have a message come, now or once more."""
        packet = msgspec.structs.replace(mail.packet, messages=(mail.message,))
        self.of[mail.to].receive(mail.sender, packet)
        self.settle(mail.to)

    def state_to(self, sender: int, to: int) -> None:
        """Have one replica tell another its statement."""
        self.of[sender].replica.owe(to)
        self.settle(sender, stated_at_once=True)

    def pump_once(self) -> None:
        """Deliver all that is on its way now."""
        mail, self.mail = self.mail, []
        for each in mail:
            self.take(each)

    def pump(self) -> None:
        """Deliver everything, and what follows from it."""
        while self.mail:
            self.pump_once()

    # -- what follows

    def settle(self, j: int, *, stated_at_once: bool = False) -> None:
        """Let a replica go on as far as it goes, its disk and its messages to itself included."""
        chain, replica = self._chains[j], self.of[j]
        while True:
            batches = tuple(replica.run())
            self._executed(j, batches, chain._past)
            group = () if j in self.holding else replica.replica.journal.take(all_of_it=True)
            if not group:
                break
            self.logs[j] += group
            replica.synced(group[-1].index)
            replica.replica.journal.synced(group[-1].index)
        for to, messages in replica.outgoing().items():
            packet = chain._packet(f"n{to}", tuple(messages))
            for message in messages:
                self.mail.append(Mail(j, to, message, packet))
            if not messages and stated_at_once:
                self.of[to].receive(j, packet)
                self.settle(to)
        self._check(j)

    def _executed(self, j: int, batches: tuple[Apply, ...], past: object) -> None:
        had = getattr(past, "_had")  # noqa: B009 -- private, and of an object that mypy knows not
        for batch in batches:
            command = had[batch.index - getattr(past, "oldest")]  # noqa: B009
            self.order[j].append(command.id)
            self._decided(command.id, command.ts, j)

    def _decided(self, id_: CommandId, ts: int, j: int) -> None:
        final = self.final.setdefault(id_, ts)
        if final != ts:
            raise ViolationError("I1", f"{id_} is {final} and, at replica {j}, {ts}")

    def _check(self, j: int) -> None:
        """One timestamp for each command, and one order."""
        for id_, command in self.of[j].replica.known.items():
            if command.is_committed:
                self._decided(id_, command.ts, j)
        longest = max(self.order.values(), key=len)
        if self.order[j] != longest[: len(self.order[j])]:
            raise ViolationError("I6", f"replica {j} has {self.order[j]}, others {longest}")
