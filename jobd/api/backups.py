"""Handler of /backups: the copy in the data directory that a backup is taken from."""

from __future__ import annotations

from typing import Any, Final

from jobd.api.call import Call, Reply
from jobd.api.gateway import StagedBackup
from jobd.api.query import NoQuery
from jobd.api.route import Route

__all__ = ["ROUTES"]


async def stage_backup(call: Call[NoQuery, Any]) -> Reply:
    """Copy what the node must not lose to a directory beside its data."""
    return Reply(await call.gateway.stage_backup())


ROUTES: Final = (
    Route(
        "POST",
        "/backups",
        "admin",
        stage_backup,
        "Stage a backup in the node's data directory",
        returns=StagedBackup,
        status=201,
    ),
)
