"""What acts upon events: event triggers, and the hooks with what they send through."""

from __future__ import annotations

from collections.abc import Callable

from actors import addresses
from actors.backends.fetch import HttpFetch
from actors.core.peers import Peers
from actors.core.sealing import Vault
from actors.core.store.state import State
from actors.core.url_policy import parse_networks
from actors.hooks import Answer, Hooks
from actors.runtime import LoopHost
from actors.triggers import Triggers
from jobd import __version__
from jobd.config import Config
from jobd.node.wiring.actors import PinnedActors

__all__ = ["open_fetch", "repairs_of", "start_hooks"]


def open_fetch(config: Config) -> HttpFetch:
    """Return what sends to others, within the node's policy."""
    return HttpFetch(parse_networks(config.hooks.allowed_networks), version=__version__)


def start_hooks(
    actors: PinnedActors,
    host: LoopHost,
    state: State,
    peers: Peers,
    *,
    vault: Vault,
    fetch: HttpFetch,
    cluster: Callable[[], str],
) -> None:
    """Spawn the actors that follow events."""
    actors.spawn(addresses.TRIGGERS, lambda: Triggers(state, peers))
    actors.spawn(
        addresses.HOOKS,
        lambda: Hooks(
            state,
            peers,
            post=lambda key, outgoing: fetch.send(
                outgoing, lambda received: host.tell(addresses.HOOKS, Answer(key, received))
            ),
            open_secret=vault.open,
            source=lambda: f"jobd://{cluster()}",
        ),
    )


def repairs_of(actors: PinnedActors) -> int:
    """Return what only the reconcile passes of homes have found."""
    found: int = sum(
        actors[address].repairs
        for address in (
            addresses.HOME,
            addresses.SCHEDULES,
            addresses.RUNS,
            addresses.TRIGGERS,
            addresses.HOOKS,
        )
    )
    return found
