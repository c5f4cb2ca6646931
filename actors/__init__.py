"""The actor system of JobD: every stateful thing is an actor.

Its public door: actors of your own in a few lines, called from anywhere (docs/guides/actors.md).

    import actors

    @actors.remote
    class Counter:
        def __init__(self, start=0): self.n = start
        def add(self, k): self.n += k; return self.n

    counter = Counter.options(name="counter", max_restarts=3).remote(10)
    assert actors.get(counter.add.remote(5)) == 15

Everything here is loaded when it is first used (PEP 562), so that importing a part of the package,
as `jobctl` does, costs nothing of the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actors.errors import (
        ActorDied,
        ActorUnavailable,
        AskTimeout,
        Cancelled,
        Conflict,
        JobdError,
        MailboxFull,
        NotFound,
        TaskError,
    )
    from actors.runtime.remote.actor_class import ActorClass, remote
    from actors.runtime.remote.handle import ActorHandle
    from actors.runtime.remote.method import method
    from actors.runtime.remote.ref import Ref
    from actors.runtime.remote.results import Results
    from actors.runtime.remote.verbs import (
        cancel,
        connect,
        disconnect,
        get,
        get_actor,
        kill,
        wait,
    )

__all__ = [
    "ActorClass",
    "ActorDied",
    "ActorHandle",
    "ActorUnavailable",
    "AskTimeout",
    "Cancelled",
    "Conflict",
    "JobdError",
    "MailboxFull",
    "NotFound",
    "Ref",
    "Results",
    "TaskError",
    "cancel",
    "connect",
    "disconnect",
    "get",
    "get_actor",
    "kill",
    "method",
    "remote",
    "wait",
]

_ERRORS: Final = "actors.errors"
_VERBS: Final = "actors.runtime.remote.verbs"
_PLACES: Final = {
    "ActorClass": "actors.runtime.remote.actor_class",
    "ActorHandle": "actors.runtime.remote.handle",
    "Ref": "actors.runtime.remote.ref",
    "Results": "actors.runtime.remote.results",
    "cancel": _VERBS,
    "connect": _VERBS,
    "disconnect": _VERBS,
    "get": _VERBS,
    "get_actor": _VERBS,
    "kill": _VERBS,
    "method": "actors.runtime.remote.method",
    "remote": "actors.runtime.remote.actor_class",
    "wait": _VERBS,
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'actors' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
