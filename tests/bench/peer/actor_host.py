"""The process of the actors that the actor benchmark calls; it ends when its stdin does."""

from __future__ import annotations

import sys

import actors
from tests.bench.peer.actor_calls import Async, Plain

if __name__ == "__main__":
    actors.connect(sys.argv[1])
    kept = [
        actors.remote(Plain).options(name="plain").remote(),
        actors.remote(Async).options(name="async").remote(),
    ]
    print("ready", flush=True)
    sys.stdin.read()
