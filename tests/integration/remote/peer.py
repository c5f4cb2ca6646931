"""A process with named actors: `… peer ADDRESS`, until stdin ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import actors
from tests.unit.remote import plain

__all__ = ["peer"]


class Scoped:
    """Methods of two scopes."""

    @actors.method(scope="read")
    def look(self) -> str:
        return "seen"

    def act(self) -> str:
        return "done"

    def end_process(self) -> None:
        os._exit(9)

    def call(self, name: str, method: str, *arguments: object) -> object:
        """Call an actor of yet another process, or of the caller's."""
        return getattr(actors.get_actor(name), method).remote(*arguments).get(timeout=10)

    def echo(self, *values: object, **named: object) -> list[object]:
        return [*values, named]


@contextmanager
def peer(address: str, token: str) -> Iterator[subprocess.Popen[str]]:
    """Run the process until its actors have their names."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "JOBD_TOKEN": token},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(10)  # it says good-bye, so its names are free
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    actors.connect(sys.argv[1])
    kept = [
        actors.remote(each).options(name=each.__name__.lower(), max_restarts=1).remote()
        for each in (plain.Counter, plain.Gate, plain.Sleeper, Scoped)
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
