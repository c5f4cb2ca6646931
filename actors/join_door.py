"""The actor that lets empty nodes join the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors import addresses
from actors.core.joining import JoinCluster, admit, welcome
from actors.core.store.txn import Committed
from actors.core.view import View
from actors.errors import Conflict, Forbidden, JobdError
from actors.model.epoch import Epoch
from actors.replica_messages import SubmitTxn
from actors.runtime import (
    Answered,
    Ask,
    Context,
    Effect,
    Fail,
    Failed,
    LoopActor,
    Reply,
    ReplyTo,
    handles,
)
from actors.runtime.address import node_of

__all__ = ["JoinDoor"]

_DECIDE_S = 20.0


class JoinDoor(LoopActor):
    """One per node. `now_ms` is the cluster's time; `needs_token` is false where nothing is asked.

    Who asks is a guest on the link, so nothing else of this node is open to it.
    """

    def __init__(
        self,
        view: View,
        *,
        epoch: Callable[[], Epoch],
        needs_token: bool,
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__()
        self._view = view
        self._epoch = epoch
        self._needs_token = needs_token
        self._now_ms = now_ms
        self._asked = 0
        self._waiting: dict[int, ReplyTo] = {}

    @handles(JoinCluster)
    def join(self, message: JoinCluster, context: Context) -> Iterator[Effect]:
        """Let a node in, or say why not."""
        assert context.reply is not None, "JoinCluster is an ask"
        try:
            if node_of(context.sender or "") != message.node:
                raise Forbidden(f"{context.sender} asks for {message.node}")
            txn = admit(self._view, message, needs_token=self._needs_token, now_ms=self._now_ms())
        except JobdError as error:
            yield Fail(context.reply, error)
            return
        if txn is None:
            yield Reply(context.reply, welcome(self._view, self._epoch()))
            return
        self._asked += 1
        self._waiting[self._asked] = context.reply
        yield Ask(addresses.REPLICA, SubmitTxn(txn), self._asked, timeout_s=_DECIDE_S)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Say whether it was decided."""
        assert isinstance(message.tag, int), "only the replica is asked here"
        reply = self._waiting.pop(message.tag)
        if isinstance(message.value, Committed):
            yield Reply(reply, welcome(self._view, self._epoch()))
        else:
            yield Fail(reply, Conflict("another join came first", remedy="try again"))

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Iterator[Effect]:
        """Say why it was not decided."""
        assert isinstance(message.tag, int), "only the replica is asked here"
        yield Fail(self._waiting.pop(message.tag), message.error)
