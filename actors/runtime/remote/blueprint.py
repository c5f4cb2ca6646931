"""A blueprint: what every incarnation of a user's actor is made from, and what can be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from actors.errors import Forbidden, NotFound
from actors.runtime.invoke import Invoke
from actors.runtime.letter import Letter
from actors.runtime.remote.method import Method, did_you_mean
from actors.runtime.remote.options import Options

__all__ = ["Blueprint"]


class Blueprint(NamedTuple):
    """A class with its methods, the options and the arguments of its constructor.

    `waits`: it has `async` methods, and so lives on the actor loop.
    """

    cls: type
    methods: dict[str, Method]
    functions: dict[str, Callable[..., Any]]
    waits: bool
    options: Options
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def title(self) -> str:
        """What messages for people call the actor."""
        kind = self.cls.__name__
        return f"{self.options.name} ({kind})" if self.options.name else kind

    def build(self) -> Any:
        """Return a new instance. Raises what its constructor raises."""
        return self.cls(*self.args, **self.kwargs)

    def method_for(self, letter: Letter) -> Method:
        """Return the method that a call is for. Raises NotFound, Forbidden."""
        call: Invoke = letter.message
        method = self.methods.get(call.method)
        if method is None:
            near = did_you_mean(call.method, self.methods)
            raise NotFound(f"{self.title} has no method {call.method[:80]!r}{near}")
        if letter.principal is not None and not letter.principal.may(method.scope):
            raise Forbidden(f"{self.cls.__name__}.{method.name} needs the scope {method.scope}")
        return method
