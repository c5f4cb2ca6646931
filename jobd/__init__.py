"""The doors of JobD, which use the actors from outside: node, HTTP facade, command line."""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when asked for: reading metadata costs a command line 20 ms."""
    if name == "__version__":
        from importlib.metadata import version

        return version("jobd-cluster")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
