"""What advances the runs of pipelines on a node."""

from __future__ import annotations

from typing import Final

from actors import addresses
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.store.state import State
from actors.model import keys
from actors.pipeline_run import PipelineRun
from actors.run_home import RunHome
from actors.runtime import LoopHost
from jobd.node.wiring.actors import PinnedActors

__all__ = ["start_pipelines"]

_IDLE_S: Final = 60.0


def start_pipelines(
    actors: PinnedActors, host: LoopHost, state: State, peers: Peers, homes: Homes
) -> None:
    """Spawn the home of runs, and have an entity for each of them."""
    host.entities(
        addresses.pipeline_run(""),
        lambda address: PipelineRun(state, keys.last(address), homes),
        idle_s=_IDLE_S,
    )
    actors.spawn(addresses.RUNS, lambda: RunHome(state, peers))
