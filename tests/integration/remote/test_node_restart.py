"""A node that is killed and started again: names come back, and calls go on."""

from __future__ import annotations

from pathlib import Path

import actors
from actors.runtime.remote import process
from jobd.dev.free_port import free_port
from tests.integration.node_process import running, until
from tests.integration.remote.peer import peer
from tests.unit.remote.actor_classes import Counter


def test_names_and_calls_survive_a_restart_of_the_node(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    data = tmp_path / "data"
    with running(data, "--cluster", address) as node, peer(f"tcp://{address}", node.token):
        try:
            actors.connect(f"tcp://{address}", token=node.token)
            mine = Counter.options(name="mine").remote(5)
            counter, scoped = actors.get_actor("counter"), actors.get_actor("scoped")
            assert counter.add.remote().get(timeout=10) == 1
            node.kill()
            assert mine.add.remote().get(timeout=10) == 6
            node.start()

            def calls_work() -> bool:
                try:
                    return bool(scoped.call.remote("mine", "add", 0).get(timeout=10) == 6)
                except actors.JobdError:
                    return False

            until(calls_work, 20)
            assert counter.add.remote().get(timeout=10) == 2  # the same actor as before
            assert actors.get_actor("sleeper").busiest.remote().get(timeout=10) == 0
        finally:
            process.end()
