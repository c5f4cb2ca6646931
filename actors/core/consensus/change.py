"""Which change of membership may be ordered: one that could not be begun would end every node."""

from __future__ import annotations

from actors.core.consensus.group import Reconfigure, Submit
from actors.core.consensus.quorums import Quorums
from actors.errors import ConfigError, Conflict, InvalidInput, JobdError
from actors.model.epoch import Epoch

__all__ = ["unfit"]


def unfit(event: Submit | Reconfigure, present: Epoch) -> JobdError | None:
    """Return why an epoch can't follow the present one, None when it can."""
    if isinstance(event, Submit):
        return None
    epoch = event.epoch
    if (epoch.cluster, epoch.number) != (present.cluster, present.number + 1):
        return Conflict(
            f"epoch {epoch.number} does not follow the present one, {present.number}",
            remedy="look again, then decide",
        )
    if len(set(epoch.nodes)) != len(epoch.members):
        return InvalidInput("a node is named twice among the members")
    try:
        Quorums.of(len(epoch.members), epoch.quorum_size)
    except ConfigError as error:
        return error
    return None
