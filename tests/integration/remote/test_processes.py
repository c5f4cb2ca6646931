"""Actors of one process, called from another by way of a real node."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time

import pytest

import actors
from actors.errors import Forbidden, InvalidInput, Unauthenticated
from actors.runtime.remote import process
from tests.integration.node_process import NodeProcess, until
from tests.integration.remote.peer import peer
from tests.unit.remote.actor_classes import Counter
from tests.unit.remote.plain import Unlike


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("is_direct", [True, False], ids=["directly", "through the node"])
def test_another_process_s_actors_are_called_as_ones_own(is_direct: bool) -> None:
    if not is_direct:
        home = process.process()
        assert home.connection is not None
        home.connection._visit = lambda process: None  # type: ignore[method-assign]
    counter, scoped = actors.get_actor("counter"), actors.get_actor("scoped")
    assert actors.get([counter.add.remote() for _ in range(1000)]) == list(range(1, 1001))
    values = [None, True, -1, 2**60, 1.5, "text", b"bytes", [1, [2]], {"a": {"b": 1}}]
    assert scoped.echo.remote(*values, key=b"x" * 200_000).get() == [
        *values,
        {"key": b"x" * 200_000},
    ]
    assert actors.get_actor("sleeper").nap.remote(0.01, "up").get(timeout=10) == "up"
    assert list(counter.below.remote(1000)) == list(range(1000))
    with pytest.raises(Unlike) as raised:
        counter.fail.remote("far").get()
    assert raised.value.args == ("far", 7)
    assert "raise Unlike" in raised.value.__notes__[0]
    with pytest.raises(AttributeError, match="did you mean 'add'"):
        counter.ad  # noqa: B018
    with pytest.raises(TypeError, match="serialize"):
        scoped.echo.remote({1, 2}).get(timeout=10)
    with pytest.raises(Unlike):
        list(counter.break_at.remote(100))


@pytest.mark.usefixtures("other")
def test_two_processes_call_each_other() -> None:
    mine = Counter.options(name="mine").remote()
    scoped, counter = actors.get_actor("scoped"), actors.get_actor("counter")
    assert counter.add.remote().get(timeout=10) == 1
    assert scoped.call.remote("mine", "add", 5).get(timeout=10) == 5
    # Each is the other's guest and host now, and both ways still lead where they did.
    assert counter.add.remote().get(timeout=10) == 2
    assert scoped.call.remote("mine", "add", 5).get(timeout=10) == 10
    assert mine.add.remote(1).get() == 11
    with pytest.raises(KeyError):
        scoped.call.remote("mine", "lookup", "b").get(timeout=10)


@pytest.mark.usefixtures("other")
def test_coroutines_await_another_process() -> None:
    counter = actors.get_actor("counter")

    async def main() -> None:
        refs = [counter.add.remote() for _ in range(20)]
        assert await asyncio.gather(*refs) == list(range(1, 21))
        assert [item async for item in counter.below.remote(100)] == list(range(100))

    asyncio.run(main())


@pytest.mark.usefixtures("other")
def test_calls_of_another_process_are_cancelled_and_its_actors_killed() -> None:
    sleeper = actors.get_actor("sleeper")
    napping, queued = sleeper.nap.remote(60), sleeper.nap.remote(60)
    assert actors.cancel(queued)
    with pytest.raises(actors.Cancelled):
        queued.get(timeout=10)
    until(lambda: actors.cancel(napping), 5)
    with pytest.raises(actors.Cancelled):
        napping.get(timeout=10)
    actors.kill(sleeper)
    with pytest.raises(actors.ActorDied, match="was killed") as died:
        sleeper.nap.remote(0).get(timeout=10)
    assert (died.value.reason, died.value.last_call) == ("killed", "nap")
    until(lambda: not _is_there("sleeper"), 5)


def _is_there(name: str) -> bool:
    with contextlib.suppress(actors.NotFound):
        return actors.get_actor(name) is not None
    return False


@pytest.mark.usefixtures("other")
def test_a_name_is_one_actor_s_among_all_processes() -> None:
    with pytest.raises(actors.Conflict):
        Counter.options(name="counter").remote()
    theirs = Counter.options(name="counter", get_if_exists=True).remote(1000)
    assert theirs == actors.get_actor("counter")
    assert theirs.add.remote().get(timeout=10) == 1
    assert Counter.options(name="counter", namespace="mine").remote(5).add.remote().get() == 6


def test_the_death_of_a_process_is_its_actors_death(
    connected: None, node: NodeProcess, address: str
) -> None:
    with peer(address, node.token):
        scoped, gate = actors.get_actor("scoped"), actors.get_actor("gate")
        under_way = [gate.wait.remote("far"), scoped.end_process.remote()]
        began = time.monotonic()
        for ref in under_way:
            with pytest.raises(actors.ActorUnavailable) as raised:
                ref.get(timeout=10)
            assert raised.value.maybe_executed
        assert time.monotonic() - began < 6
    until(lambda: not _is_there("scoped"), 5)
    with pytest.raises((actors.ActorUnavailable, actors.ActorDied)) as gone:
        scoped.look.remote().get(timeout=10)
    assert not getattr(gone.value, "maybe_executed", False)


def test_a_process_that_ends_says_so_and_its_names_are_free(
    connected: None, node: NodeProcess, address: str
) -> None:
    with peer(address, node.token) as other:
        counter = actors.get_actor("counter")
        assert counter.add.remote().get(timeout=10) == 1
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(10) == 0
        until(lambda: not _is_there("counter"), 2)
        with pytest.raises(actors.ActorDied):
            counter.add.remote().get(timeout=10)
        assert Counter.options(name="counter").remote().add.remote().get() == 1


def token_of(node: NodeProcess, *scopes: str) -> tuple[str, str]:
    minted = node.call("POST", "/tokens", {"name": "t", "scopes": list(scopes)})
    return minted["id"], minted["token"]


def test_a_token_s_scopes_bound_what_can_be_called(node: NodeProcess, address: str) -> None:
    _, token = token_of(node, "read")
    with peer(address, node.token):
        try:
            actors.connect(address, token=token)
            scoped = actors.get_actor("scoped")
            assert scoped.look.remote().get(timeout=10) == "seen"
            for refused in (
                lambda: scoped.act.remote().get(timeout=10),
                lambda: actors.kill(scoped, timeout=10),
                lambda: Counter.options(name="mine").remote(),
            ):
                with pytest.raises(Forbidden, match="run"):
                    refused()
        finally:
            process.end()


def test_a_revoked_token_ends_the_direct_link_too(node: NodeProcess, address: str) -> None:
    token_id, token = token_of(node, "read", "run")
    with peer(address, node.token):
        try:
            actors.connect(address, token=token)
            counter = actors.get_actor("counter")
            assert counter.add.remote().get(timeout=10) == 1
            node.call("DELETE", f"/tokens/{token_id}")

            def is_refused() -> bool:
                try:
                    counter.add.remote().get(timeout=10)
                except actors.JobdError:
                    return True
                return False

            until(is_refused, 10)
        finally:
            process.end()


def test_who_may_not_connect_is_told_why(node: NodeProcess, address: str) -> None:
    with pytest.raises(Unauthenticated):
        actors.connect(address, token="jobd_nosuch")
    host = "tcp://127.0.0.1"
    for wrong in (address.removeprefix("tcp://"), host, f"{host}:", f"{host}:99999", "tcp://*:1"):
        with pytest.raises(InvalidInput, match="no address"):
            actors.connect(wrong)
    with pytest.raises(actors.ActorUnavailable, match="no node answers"):
        actors.connect("tcp://127.0.0.1:9", token="", timeout=0.3)
    actors.connect(address, token=node.token)
    with pytest.raises(actors.Conflict):
        actors.connect(address, token=node.token)
    actors.disconnect()
    actors.connect(address, token=node.token)
    process.end()


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("is_direct", [True, False], ids=["directly", "through the node"])
def test_a_process_that_links_up_again_gets_answers_of_its_own(
    is_direct: bool, node: NodeProcess
) -> None:
    home = process.process()

    def link_up() -> None:
        assert home.connection is not None
        if not is_direct:
            home.connection._visit = lambda process: None  # type: ignore[method-assign]

    link_up()
    assert home.connection is not None
    endpoint = home.connection.endpoint
    counter = actors.get_actor("counter")
    assert [counter.add.remote().get(timeout=10) for _ in range(5)] == [1, 2, 3, 4, 5]
    actors.disconnect()
    actors.connect(endpoint, token=node.token)
    link_up()
    assert actors.get_actor("scoped").look.remote().get(timeout=10) == "seen"
    counter = actors.get_actor("counter")
    assert [counter.add.remote().get(timeout=10) for _ in range(5)] == [6, 7, 8, 9, 10]
    assert home.host.routes.keys() >= ({counter._address.split("/")[2]} if is_direct else set())


ENDS = """
import sys, time
import actors

class Busy:
    def block(self): time.sleep(60)
    async def nap(self):
        import asyncio
        await asyncio.sleep(60)

class Blocked:
    def block(self): time.sleep(60)

if len(sys.argv) > 1:
    actors.connect(sys.argv[1])
refs = [actors.remote(Blocked).options(name="end").remote().block.remote(),
        actors.remote(Busy).remote().nap.remote()]
actors.wait(refs, timeout=0.2)
"""


def test_a_program_ends_at_once_whatever_its_actors_do(node: NodeProcess, address: str) -> None:
    for arguments in ([], [address]):
        began = time.monotonic()
        command = [sys.executable, "-W", "error", "-c", ENDS, *arguments]
        environment = {"JOBD_TOKEN": node.token, "PYTHONPATH": "."}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - began < 2 + 2  # the start of Python on a busy machine


FORKS = """
import os
import actors

class C:
    def f(self): return 1

c = actors.remote(C).remote()
assert c.f.remote().get() == 1
pid = os.fork()
if pid == 0:
    for use in (lambda: c.f.remote(), lambda: actors.remote(C).remote()):
        try:
            use()
        except RuntimeError as error:
            assert "forked" in str(error)
        else:
            os._exit(1)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert c.f.remote().get() == 1
"""


def test_a_forked_child_is_refused() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
