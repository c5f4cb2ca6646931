"""The ghost: it sees every record, packet and application, and holds them against the invariants.

It keeps what no single replica can know: who promised what, ever, over all restarts; what was
decided, and at which ballot; the one order. Checks are made where something happens, so that a
broken rule is seen at the step that breaks it. Invariants are numbered as in
docs/internals/consensus-proof.md.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from actors.core.consensus import records
from actors.core.consensus.chain import Chain
from actors.core.consensus.group import Apply
from actors.core.consensus.messages import (
    Accept,
    Accepted,
    CommandId,
    Commit,
    Packet,
    ProposeAck,
    Recover,
    RecoverAck,
)
from actors.core.consensus.position import decode_position
from actors.core.consensus.quorums import Quorums
from actors.core.consensus.statement import Attached
from actors.core.ports import LogEntry
from actors.core.store.txn import Committed, Result, SessionRef, Stale, Txn
from actors.model.epoch import Epoch
from tests.sim.violation import ViolationError

if TYPE_CHECKING:
    from tests.sim.consensus.machine import Machine

__all__ = ["Ghost"]

Key = tuple[int, CommandId]  # (epoch, id)
_ALL: Final = 1 << 40
_NONE: Final[dict[int, CommandId]] = {}
_RESTING: Final = (Accepted, RecoverAck, ProposeAck, Recover)  # on the sender's own records
Ref = tuple[str, int, int, int]  # (node, session, number within it, what tells processes apart)
Place = tuple[int, CommandId]  # (ts, id)


class Executed(NamedTuple):
    """One place of the one order."""

    txns: tuple[Txn, ...]
    epoch: Epoch | None
    results: list[Result]


class _Told:
    """What a replica of an epoch has told, over all its processes."""

    def __init__(self) -> None:
        self.clock = 0
        self.attached: dict[int, CommandId] = {}  # all it ever told of
        self.open: dict[int, CommandId] = {}  # of these, what has not been left out
        self.last = (0, 0)  # the clock and the floor that were told last
        self.said: tuple[Attached, ...] = ()  # and with it
        self.left_out: list[tuple[int, int]] = []  # then (index, ts), in order, until it is old


class _Written:
    """What a node wrote to its log; `group` is not durable yet."""

    def __init__(self) -> None:
        self.durable = 0
        self.pending: list[tuple[int, records.Record]] = []  # (index, record)
        self.reserved: dict[int, int] = {}  # epoch -> durable reservation
        self.known: dict[Key, records.Known] = {}  # durable
        self.newest: dict[Key, records.Known] = {}  # whether durable or not
        self.issued: dict[tuple[int, int], CommandId] = {}  # (epoch, ts), durable
        self.untold: dict[int, dict[int, CommandId]] = {}  # epoch -> issued, not yet told of
        self.imaged = 0


class Ghost:
    """`order` is what was executed, from index 1 on."""

    def __init__(self) -> None:
        self.coverage: Counter[str] = Counter()
        self.order: list[Executed] = []
        self.epochs: dict[int, Epoch] = {}
        self.position: dict[Ref, int] = {}  # of each transaction in the order
        self.txns = 0
        self.everywhere = 0  # how many commands every node has executed
        self.forgetful = False  # commands may go before they are in every voter's image
        self._txns_up_to = [0]
        self._repeatable: set[Ref] = set()
        self.results: dict[Ref, Result] = {}
        self._told: dict[tuple[int, str], _Told] = {}
        self._written: defaultdict[str, _Written] = defaultdict(_Written)
        self._never_had: dict[str, int] = {}  # up to which index a process did not begin with
        self._place: dict[int, tuple[int, Place]] = {}  # index -> (epoch, (ts, id))
        self._index: dict[Key, int] = {}
        self._final: dict[Key, int] = {}
        self._decided: dict[Key, int] = {}  # the ballot at which it was decided, 0: fast path
        self._recorded: set[Key] = set()  # a decision durable somewhere
        self._proposals: dict[Key, dict[str, int]] = {}
        self._accepts: dict[Key, dict[int, int]] = {}  # ballot -> ts
        self._accepted: dict[tuple[Key, int], set[str]] = {}
        self._executed_up_to: dict[int, Place] = {}  # epoch -> the last place executed anywhere
        self._quorums: dict[int, Quorums] = {}

    def found(self, epoch: Epoch) -> None:
        """Know the first epoch."""
        self.epochs[epoch.number] = epoch

    def quorums(self, epoch: int) -> Quorums:
        """Return the quorum sizes of an epoch."""
        sizes = self._quorums.get(epoch)
        if sizes is None:
            found = self.epochs[epoch]
            sizes = self._quorums[epoch] = Quorums.of(len(found.members), found.quorum_size)
        return sizes

    # -- processes

    def booted(self, node: str, chain: Chain, last_index: int) -> None:
        """Take that a process has recovered."""
        self._written[node].durable = last_index
        self._never_had[node] = chain._past.oldest - 1

    def crashed(self, node: str, last_index: int) -> None:
        """Forget what did not become durable; what survived unsynced did."""
        written = self._written[node]
        self.durable(node, last_index)
        written.pending.clear()
        written.newest = dict(written.known)

    def imaged(self, node: str, index: int, position: bytes) -> None:
        """Take that an image is durable, and with it the clock's reservation."""
        written = self._written[node]
        written.imaged = max(written.imaged, index)
        at = decode_position(position)
        reserved = written.reserved.get(at.epoch.number, 0)
        written.reserved[at.epoch.number] = max(reserved, at.reserved)

    # -- records

    def appended(self, node: str, entries: tuple[LogEntry, ...]) -> None:
        """Look at records on their way to the disk."""
        written = self._written[node]
        for entry in entries:
            decoder = records.RECORDS.get(entry.kind)
            if decoder is None:
                continue
            record = decoder.decode(entry.payload)
            written.pending.append((entry.index, record))
            if isinstance(record, records.Known):
                self._known(node, written, record)

    def _known(self, node: str, written: _Written, record: records.Known) -> None:
        key = (record.epoch, record.id)
        old = written.newest.get(key)
        if record.accepted_ballot > record.ballot:
            self._fail("I7", f"{node} accepted above its ballot: {record}")
        if old is not None:
            if record.ballot < old.ballot or record.accepted_ballot < old.accepted_ballot:
                self._fail("I7", f"{node}'s ballots go back: {old} then {record}")
            if old.proposal and record.proposal != old.proposal:
                self._fail("I2", f"{node} proposes anew: {old} then {record}")
        if record.accepted_ballot and (
            old is None or old.accepted_ballot != record.accepted_ballot
        ):
            self._propose_at(key, record.accepted_ballot, record.accepted_ts, node)
        written.newest[key] = record
        if record.proposal:
            self._proposals.setdefault(key, {})[node] = record.proposal

    def _propose_at(self, key: Key, ballot: int, ts: int, who: str) -> None:
        """One value at a ballot, and after a decision at a lower one only that (I8)."""
        at = self._accepts.setdefault(key, {})
        if at.setdefault(ballot, ts) != ts:
            self._fail("I7", f"{key}: {at[ballot]} and {ts} at ballot {ballot}")
        final = self._final.get(key)
        if final is not None and final != ts and ballot > self._decided.get(key, 1 << 60):
            self._fail(
                "I8",
                f"{key} was decided at ballot {self._decided[key]} as {final}; "
                f"{who} has {ts} at ballot {ballot}",
            )

    def durable(self, node: str, index: int) -> None:
        """Take that a node's records are durable up to an index."""
        written = self._written[node]
        written.durable = max(written.durable, index)
        count = 0
        for number, record in written.pending:
            if number > index:
                break
            count += 1
            if isinstance(record, records.Known):
                key = (record.epoch, record.id)
                written.known[key] = record
                if record.accepted_ballot:  # what a disk refused or lost was never acknowledged
                    self._accepted.setdefault((key, record.accepted_ballot), set()).add(node)
                issued = (record.epoch, record.proposal)
                if record.proposal and issued not in written.issued:
                    written.issued[issued] = record.id
                    written.untold.setdefault(record.epoch, {})[record.proposal] = record.id
            elif isinstance(record, records.Reserved):
                reserved = written.reserved.get(record.epoch, 0)
                written.reserved[record.epoch] = max(reserved, record.up_to)
            elif isinstance(record, records.Committed):
                key = (record.epoch, record.id)
                self._recorded.add(key)
                self._decide(key, record.ts, node, "has it recorded")
            elif isinstance(record, Epoch):
                self.epochs.setdefault(record.number, record)
        del written.pending[:count]

    def refused_records(self, node: str, first: int) -> None:
        """Take that a full disk refused a group; it is handed over again, or its indexes are."""
        written = self._written[node]
        written.pending = [each for each in written.pending if each[0] < first]
        written.newest = dict(written.known)
        self.coverage["groups refused by a full disk"] += 1

    # -- decisions

    def _decide(self, key: Key, ts: int, node: str, how: str) -> None:
        final = self._final.get(key)
        if final is not None:
            if final != ts:
                self._fail("I1", f"{key} is decided as {final} and as {ts} ({node} {how})")
            return
        self._final[key] = ts
        sizes = self.quorums(key[0])
        below = [node for node, own in self._proposals.get(key, {}).items() if own <= ts]
        if len(below) <= sizes.n - sizes.stability:
            self._fail("I4", f"{key} at {ts} ({node} {how}): only {below} proposed at most that")
        last = self._executed_up_to.get(key[0])
        if last is not None and (ts, key[1]) <= last and key not in self._index:
            self._fail("I5", f"{key} gets {ts} ({node} {how}) after {last} was executed")
        accepts = self._accepts.get(key, {})
        ballots = [
            ballot
            for ballot, value in accepts.items()
            if value == ts and len(self._accepted.get((key, ballot), ())) >= sizes.slow
        ]
        ballot = self._decided[key] = min(ballots, default=0)
        self.coverage[
            "decided fast"
            if ballot == 0
            else "decided slowly"
            if ballot <= sizes.n
            else "decided by recovery"
        ] += 1
        for other, value in accepts.items():
            if other > max(ballot, sizes.n) and value != ts:
                self._fail(
                    "I8", f"{key} is {ts} at ballot {ballot}, {value} at {other} ({node} {how})"
                )

    def executed(self, node: str, chain: Chain, batches: tuple[Apply, ...]) -> None:
        """Look at what a replica has executed in a step, before it says or applies anything."""
        first, past = batches[0].index, chain._past
        for batch in batches:
            if batch.epoch is not None:
                self._began(batch.index, batch.epoch)
        for index, command in enumerate(past.since(max(first, past.oldest), _ALL), first):
            key, place = (command.epoch, command.id), (command.ts, command.id)
            known = self._place.get(index)
            if known is None:
                self._place[index] = (command.epoch, place)
                self._index[key] = index
                last = self._executed_up_to.get(command.epoch)
                if last is None or place > last:
                    self._executed_up_to[command.epoch] = place
            elif known != (command.epoch, place):
                self._fail("I6", f"{node} executes {command[:3]} at {index}, not {known}")
            if self._index[key] != index:
                self._fail("I11", f"{key} is executed at {self._index[key]} and {index}")
            if self.is_ordered(command.epoch):
                self._decide(key, command.ts, node, "executes it")

    def collected(self, node: str, chain: Chain) -> None:
        """I12: what a process lets go is in the image of every voter."""
        gone = chain._past.oldest - 1
        if gone <= self._never_had[node]:
            return
        least = min(self._written[name].imaged for name in chain.epoch.nodes)
        if gone > least and self.is_ordered(chain.epoch.number) and not self.forgetful:
            self._fail("I12", f"{node} has forgotten up to {gone}, a voter's image has {least}")

    def is_ordered(self, epoch: int) -> bool:
        """Whether an epoch has more than one voter, who must agree."""
        return len(self.epochs[epoch].members) > 1

    # -- packets

    def sent(self, machine: Machine, to: str, packet: Packet) -> None:
        """Look at a packet that leaves a node."""
        node, written = machine.name, self._written[machine.name]
        if packet.imaged > written.imaged:
            self._fail("I12", f"{node} says imaged {packet.imaged}, it is {written.imaged}")
        if packet.replica and self.epochs[packet.epoch].replica_of(to) is not None:
            self._statement(node, written, packet)
        for message in packet.messages:
            if isinstance(message, Commit):
                self._decide((packet.epoch, message.id), message.ts, node, "says so")
            elif isinstance(message, Accept):
                key = (packet.epoch, message.id)
                self._propose_at(key, message.ballot, message.ts, node)
            elif isinstance(message, _RESTING):
                self._rests_on_records(node, written, packet.epoch, message)

    def _statement(self, node: str, written: _Written, packet: Packet) -> None:
        """I2, I3 and I13 of a promise statement."""
        epoch = packet.epoch
        if packet.executed < self.epochs[epoch].start:
            self._fail("I14", f"{node} votes in epoch {epoch} with {packet.executed} executed")
        told = self._told.get((epoch, node))
        if told is None:
            told = self._told[epoch, node] = _Told()
        clock = packet.clock
        if clock < told.clock:
            self._fail("I13", f"{node} tells clock {clock} after {told.clock}")
        if clock > written.reserved.get(epoch, 0):
            self._fail("I3", f"{node} tells clock {clock}, reserved {written.reserved}")
        untold = written.untold.get(epoch, _NONE)
        if not untold and told.last == (clock, packet.floor) and told.said is packet.attached:
            return  # once more, to another
        said_all = not (told.open or told.left_out or untold)
        if said_all and not packet.attached:
            told.clock = clock
            return
        now = dict(packet.attached)
        if not now.items() <= told.attached.items():
            self._tells(node, written, packet, told)
        self._leaves_out(node, packet, told, now)
        for ts, id_ in list(untold.items()):
            if ts > clock:
                break
            del untold[ts]
            if ts not in now:
                index = self._index.get((epoch, id_))
                if index is None or index > packet.floor:
                    self._fail("I2", f"{node} never tells {ts} -> {id_} (floor {packet.floor})")
                told.attached[ts] = id_
        told.clock = clock
        told.last, told.said = (clock, packet.floor), packet.attached

    def _tells(self, node: str, written: _Written, packet: Packet, told: _Told) -> None:
        """What is told is durable, and was never told otherwise."""
        for ts, id_ in packet.attached:
            if ts > packet.clock:
                continue
            known = told.attached.get(ts)
            if known is None:
                if ts <= told.clock:
                    self._fail("I2", f"{node} attaches {ts} to {id_}, it told it was skipped")
                if written.issued.get((packet.epoch, ts)) != id_:
                    self._fail("I3", f"{node} tells {ts} -> {id_}, which is not durable")
                told.attached[ts] = told.open[ts] = id_
            elif known != id_:
                self._fail("I2", f"{node} attaches {ts} to {id_}, it was {known}")

    def _leaves_out(
        self, node: str, packet: Packet, told: _Told, now: dict[int, CommandId]
    ) -> None:
        """What was told once is left out only below the floor."""
        if not told.open.keys() <= now.keys():
            for ts in told.open.keys() - now.keys():
                index = self._index.get((packet.epoch, told.open[ts]))
                if index is None:
                    self._fail("I2", f"{node} leaves out {ts} -> {told.open[ts]}, not executed")
                insort(told.left_out, (index, ts))
                del told.open[ts]
        for index, ts in reversed(told.left_out):
            if index <= packet.floor:
                break
            if ts not in now:
                self._fail(
                    "I2",
                    f"{node} leaves out {ts} -> {told.attached[ts]} "
                    f"(index {index}, floor {packet.floor})",
                )
        while told.left_out and told.left_out[0][0] <= self.everywhere:
            if told.left_out[0][1] in now:
                break
            del told.left_out[0]

    def _rests_on_records(
        self,
        node: str,
        written: _Written,
        epoch: int,
        message: Accepted | RecoverAck | ProposeAck | Recover,
    ) -> None:
        known = written.known.get((epoch, message.id))
        if known is None:
            good = False
        elif isinstance(message, ProposeAck):
            good = known.proposal == message.ts
        elif isinstance(message, Accepted):
            good = known.accepted_ballot >= message.ballot
        else:
            good = known.ballot >= message.ballot
        if not good:
            self._fail("I3", f"{node} sends {message}, durable is {known}")

    # -- the order

    def applied(self, node: str, before: int, batch: Apply, results: list[Result]) -> None:
        """Hold an application against the one order."""
        if batch.index != before + 1:
            self._fail("I6", f"{node} applies {batch.index} after {before}")
        found = Executed(batch.txns, batch.epoch, results)
        if batch.index <= len(self.order):
            if self.order[batch.index - 1] != found:
                self._fail(
                    "I6",
                    f"{node} has at {batch.index} {found}, others {self.order[batch.index - 1]}",
                )
            return
        if batch.index != len(self.order) + 1:
            self._fail("I6", f"{node} applies {batch.index}, nobody has {len(self.order) + 1}")
        self.order.append(found)
        for txn, result in zip(batch.txns, results, strict=True):
            self._first(batch.index, txn, result)
        self._txns_up_to.append(self.txns)

    def txns_up_to(self, index: int) -> int:
        """Return how many transactions the commands up to an index hold."""
        return self._txns_up_to[index]

    def may_repeat(self, session: SessionRef, number: int) -> None:
        """Know that a transaction may be submitted at several voters; its session has it once."""
        self._repeatable.add((session.node, session.number, session.seq, number))

    def _first(self, index: int, txn: Txn, result: Result) -> None:
        self.txns += 1
        if txn.session is None:
            return
        ref = (txn.session.node, txn.session.number, txn.session.seq, txn.now_ms)
        place = self.position.setdefault(ref, self.txns)
        if place != self.txns:
            if ref not in self._repeatable:
                self._fail("I11", f"{ref} is ordered twice, the second time at {index}: {result}")
            opens = txn.session.number == 0  # its own check has a repeat fail
            if result != self.results[ref] and not (opens or isinstance(result, Stale)):
                self._fail("I11", f"{ref} is answered {self.results[ref]} and {result}")
            return
        self.results[ref] = result
        if isinstance(result, Committed):
            self.coverage["transactions committed"] += 1

    def _began(self, index: int, epoch: Epoch) -> None:
        if epoch.start != index:
            self._fail("I14", f"epoch {epoch.number} begins at {epoch.start}, sealed at {index}")
        if epoch.number not in self.epochs:
            self.coverage["epochs begun by a change"] += 1
        known = self.epochs.setdefault(epoch.number, epoch)
        if known != epoch:
            self._fail("I14", f"two epochs of number {epoch.number}: {known} and {epoch}")

    def _fail(self, invariant: str, text: str) -> NoReturn:
        raise ViolationError(invariant, text)
