"""Actor classes: what `@actors.remote` makes of a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.handle import ActorHandle
from actors.runtime.remote.method import methods_of, waits
from actors.runtime.remote.options import Options
from actors.runtime.remote.process import process

__all__ = ["ActorClass", "remote"]

T = TypeVar("T")


class ActorClass(Generic[T]):
    """A class whose instances are actors of the process that makes them.

    `wrapped` is the class itself, for its own tests; deriving from either is the same.
    """

    def __init__(self, wrapped: type[T], options: Options) -> None:
        self.wrapped = wrapped
        self._options = options
        self._methods = methods_of(wrapped)
        self._functions = {name: getattr(wrapped, name) for name in self._methods}
        self._waits = waits(wrapped)
        self._signature = inspect.signature(wrapped)
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def options(self, **changes: Any) -> ActorClass[T]:
        """Return the class with other options (`Options` lists them).

        Raises TypeError for an unknown one, InvalidInput for a value that can't be.
        """
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        changed._options = self._options.with_changes(changes)
        return changed

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Make an actor in this process with these arguments for its constructor.

        It comes back at once: a constructor that raises is the ActorDied of the first call. Raises
        TypeError for arguments that the constructor doesn't have, Conflict for a taken name.
        """
        self._signature.bind(*args, **kwargs)
        plan = Blueprint(
            self.wrapped, self._methods, self._functions, self._waits, self._options, args, kwargs
        )
        home = process()
        if plan.options.name:
            return home.names.make(plan)
        address = home.new_address()
        home.start(plan, address)
        return ActorHandle(home, address, self.__name__, self._methods)

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Refuse: an instance made so would be no actor."""
        raise TypeError(f"make an actor with {self.__name__}.remote(…)")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self.wrapped,)

    def __repr__(self) -> str:
        return f"<actor class {self.__name__}>"


@overload
def remote(wrapped: type[T], /) -> ActorClass[T]: ...


@overload
def remote(**options: Any) -> Callable[[type[T]], ActorClass[T]]: ...


def remote(wrapped: type[T] | None = None, /, **options: Any) -> Any:
    """Make actors of a class: `@remote`, or `@remote(max_restarts=3)` with options.

    Raises TypeError for what is no class (a function is a job's: submit one) or an unknown option.
    """
    if wrapped is None:
        chosen = Options().with_changes(options)
        return lambda cls: _actor_class(cls, chosen)
    return _actor_class(wrapped, Options())


def _actor_class(wrapped: type[T], options: Options) -> ActorClass[T]:
    if not isinstance(wrapped, type):
        raise TypeError("@remote is for classes; to run a function elsewhere, submit a job")
    return ActorClass(wrapped, options)
