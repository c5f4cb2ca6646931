"""Secrets as a door changes them. Nothing here reads one back."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from actors import limits
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.store.txn import Txn, absent, at
from actors.errors import Busy, InvalidSpec, JobdError, NotFound, PreconditionFailed, Problem
from actors.model import keys
from actors.model.spec import JobSpec
from actors.runtime import Clock
from jobd.node.writer import Writer, check_match

__all__ = ["Secrets", "ready_key", "ready_secrets"]

_log: Final = logging.getLogger(__name__)


async def ready_secrets(vault: Vault, state: State) -> None:
    """At boot, where there are secrets: load what opens them, and say at once if nothing does."""
    if not state.count("secret"):
        return
    try:
        await asyncio.to_thread(vault.prepare)
        vault.check()
    except JobdError as error:
        _log.error("jobs with secrets will fail: %s; %s", error.message, error.remedy)


async def ready_key(vault: Vault, before: asyncio.Task[None]) -> None:
    """Have a key that other nodes can wrap for, once what was begun before is done."""
    await before
    try:
        await asyncio.to_thread(vault.make_ready)
    except JobdError as error:
        _log.error("other nodes' secrets won't open here: %s; %s", error.message, error.remedy)


class Secrets:
    """Puts and deletes secrets, and holds specs to those that there are."""

    def __init__(self, vault: Vault, state: State, writer: Writer, *, clock: Clock) -> None:
        self._vault = vault
        self._state = state
        self._writer = writer
        self._clock = clock

    async def put(
        self, name: str, value: bytes, *, if_match: int | None = None, if_none_match: bool = False
    ) -> int:
        """Seal and put a secret. Raises PreconditionFailed, Busy, SealingKeyLost."""
        key = keys.secret(name)
        await asyncio.to_thread(self._vault.prepare)

        def decide() -> Txn:
            entry = self._state.get(key)
            revision = entry.revision if entry is not None else 0
            check_match(revision, if_match)
            if if_none_match and revision:
                raise PreconditionFailed(
                    f"there is a secret {name}", revision=revision, remedy="put it with If-Match"
                )
            if not revision and self._state.count("secret") >= limits.SECRETS:
                raise Busy(f"there are {limits.SECRETS} secrets already", remedy="delete some")
            now_ms = self._clock.now_ms()
            sealed = self._vault.seal(name, value, now_ms)
            seen = at(key, revision) if revision else absent(key)
            return Txn((*sealed.checks, seen), sealed.ops, now_ms=now_ms)

        revision: int = await self._writer.write(decide)
        return revision

    async def delete(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a secret; what runs with it goes on. Raises NotFound, PreconditionFailed."""
        key = keys.secret(name)

        def decide() -> Txn:
            entry = self._state.get(key)
            if entry is None:
                raise NotFound(f"there is no secret {name}")
            check_match(entry.revision, if_match)
            return Txn((at(key, entry.revision),), ((key, None),), now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide)
        return revision

    def check(self, spec: JobSpec) -> None:
        """Raise InvalidSpec when a spec names a secret that there is not: a slip shows at once."""
        problems = [
            Problem(f"$.environment.{variable}", 0, 0, f"there is no secret {name}")
            for variable, name in spec.secrets.items()
            if self._state.get(keys.secret(name)) is None
        ]
        if problems:
            raise InvalidSpec(problems, remedy="put it first: `jobctl secret put NAME`")
