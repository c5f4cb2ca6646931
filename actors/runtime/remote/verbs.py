"""The verbs of the public door, `actors`: what one does with refs and handles."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any, TypeVar, overload

from actors.errors import ActorDied, AskTimeout, InvalidInput
from actors.runtime.remote.handle import ActorHandle
from actors.runtime.remote.messages import CancelCall, Kill
from actors.runtime.remote.options import NAMESPACE
from actors.runtime.remote.process import process
from actors.runtime.remote.ref import Ref, wait_for_all, wait_for_some

__all__ = ["cancel", "connect", "disconnect", "get", "get_actor", "kill", "wait"]

T = TypeVar("T")


@overload
def get(refs: Ref[T], *, timeout: float | None = None) -> T: ...


@overload
def get(refs: Iterable[Ref[T]], *, timeout: float | None = None) -> list[T]: ...


def get(refs: Ref[T] | Iterable[Ref[T]], *, timeout: float | None = None) -> T | list[T]:
    """Wait for a ref and return its value, or for several and return their values in order.

    Raises what a ref failed with, as soon as one of them has; AskTimeout after `timeout` seconds
    (the calls go on). Blocks: in a coroutine await the refs instead.
    """
    if isinstance(refs, Ref):
        return refs.get(timeout=timeout)
    several = _checked(refs)
    if not all(ref.done for ref in several):
        wait_for_all(several, timeout)
        for ref in several:
            if ref.failure() is not None:
                ref.get()
    return [ref.get() for ref in several]


def wait(
    refs: Iterable[Ref[T]], *, num_returns: int = 1, timeout: float | None = None
) -> tuple[list[Ref[T]], list[Ref[T]]]:
    """Wait until so many refs are done, or `timeout` seconds; return (done, pending), in order.

    A failed ref is done. Raises InvalidInput when `num_returns` isn't from 1 to the number of refs.
    """
    several = _checked(refs)
    if not 1 <= num_returns <= len(several):
        raise InvalidInput(f"num_returns is from 1 to {len(several)}, not {num_returns}")
    with contextlib.suppress(AskTimeout):
        wait_for_some(several, num_returns, timeout)
    is_done = [ref.done for ref in several]  # once: one may be done in between
    return (
        [ref for ref, done in zip(several, is_done, strict=True) if done],
        [ref for ref, done in zip(several, is_done, strict=True) if not done],
    )


def cancel(ref: Ref[Any], *, timeout: float | None = None) -> bool:
    """Cancel a call; say whether its ref will fail with Cancelled.

    A call that waits is dropped, a coroutine is cancelled where it awaits. A plain method that
    runs already can't be stopped: then, and when the call has ended, this is False.
    """
    if ref.done:
        return False
    fate = process().ask(ref.address, CancelCall(ref.call)).get(timeout=timeout)
    return fate in ("dropped", "cancelling")


def kill(handle: ActorHandle, *, no_restart: bool = True, timeout: float | None = None) -> None:
    """End an actor now; with `no_restart=False` only its present incarnation.

    Its calls fail with ActorDied. What a plain method is doing goes on until it returns, without
    effect on anyone who waits. Killing an actor that has ended does nothing.
    """
    try:
        process().ask(handle._address, Kill(no_restart)).get(timeout=timeout)
    except ActorDied:
        return


def connect(
    address: str,
    *,
    token: str | None = None,
    timeout: float = 10.0,
    key_file: str | None = None,
) -> None:
    """Link this process to a node, whose other processes can then call its named actors.

    `address`: the node's, "tcp://127.0.0.1:7800", or "tcp://KEY@…" of one that has keys; then
    `key_file` has this process's own, by default JOBD_KEY_FILE. `token`: by default JOBD_TOKEN.
    Raises ActorUnavailable when no node answers within `timeout` seconds, Unauthenticated or
    Forbidden when it does not let this process in, ConfigError without a key where one is wanted,
    Conflict when a name is taken or there is a link already.
    A link that breaks is made anew by itself.
    """
    secret = os.environ.get("JOBD_TOKEN", "") if token is None else token
    file = os.environ.get("JOBD_KEY_FILE", "") if key_file is None else key_file
    process().connect(address, secret, timeout, file)


def disconnect() -> None:
    """Part from the node; the actors of this process go on for itself."""
    process().disconnect()


def get_actor(name: str, *, namespace: str = NAMESPACE) -> ActorHandle:
    """Return the actor that has a name. Raises NotFound."""
    return process().names.find((namespace, name))


def _checked(refs: Iterable[Ref[T]]) -> list[Ref[T]]:
    several = list(refs) if isinstance(refs, Iterable) else [refs]
    for ref in several:
        if not isinstance(ref, Ref):
            raise TypeError(f"not a ref: {ref!r}")
    return several
