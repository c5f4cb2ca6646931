"""What is at hand at the prompt, over the real routes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.errors import Forbidden, InvalidInput, NotFound
from actors.runtime.signals import Ping
from jobd.api.node_views import ActorView
from jobd.client import Client
from jobd.repl.actor_tree import Actors
from jobd.repl.completer import Completer
from jobd.repl.job import Jobs
from jobd.repl.namespace import watch
from tests.unit.client.door import Door, served_door
from tests.unit.repl.test_table import actor

SPEC = {"name": "t", "type": "command", "cmd": "true"}


@contextmanager
def at_hand(*tree: ActorView) -> Iterator[tuple[Door, Client]]:
    with served_door() as door, Client(door.address, token=door.token, timeout_s=2) as client:
        door.gateway.live_actors = list(tree)
        yield door, client


def test_a_job_is_named_by_id_prefix_or_name() -> None:
    with at_hand() as (_, client):
        jobs = Jobs(client)
        assert repr(jobs) == "nothing"
        first, second = jobs.submit(SPEC), jobs.submit({**SPEC, "name": "u"})
        assert jobs[first.id].id == first.id
        assert jobs["u"].id == second.id
        common = next(i for i in range(26) if first.id[i] != second.id[i])
        assert jobs[second.id[: common + 1]].id == second.id
        with pytest.raises(InvalidInput, match="more than one"):
            jobs[first.id[:common]]
        with pytest.raises(NotFound):
            jobs["nosuch"]
        assert [job.name for job in jobs(name="u")] == ["u"]
        assert [job.name for job in jobs] == ["u", "t"]
        assert "u     pending" in repr(jobs)


def test_a_job_to_work_with(capsys: pytest.CaptureFixture[str]) -> None:
    with at_hand() as (door, client):
        job = Jobs(client).submit(SPEC)
        assert job.why()["state"] == "pending"
        door.do(door.gateway.run, job.id, out=b"hello\n\xff\n", code=3)
        job.logs()
        assert capsys.readouterr().out == "hello\n\ufffd\n"
        assert job.wait().exit_code == 3
        assert len(job.attempts()) == 1
        assert "state             failed" in repr(job)
        again = job.retry()
        assert again.cancel("no").state == "cancelled"
        again.delete()
        with pytest.raises(NotFound):
            repr(again)
        with pytest.raises(NotFound):
            job.output()


def test_the_tree_has_children_below_their_parents() -> None:
    tree = (actor("/api"), actor("/slot/0", "/execution"), actor("/execution"))
    with at_hand(*tree) as (_, client):
        actors = Actors(client)
        addresses = [line.split("  ")[:2] for line in repr(actors).splitlines()[1:]]
        assert [a[0] or "  " + a[1] for a in addresses] == ["/api", "/execution", "  /slot/0"]
        assert [row.address for row in actors("/slot")] == ["/slot/0"]
        one = actors["/api"]
        assert (one.inspect().cls, one.ping(), one.ask(Ping())) == ("ApiDoor", 1, 1)
        assert "address    /api" in repr(one)
        with pytest.raises(NotFound):
            actors["/nosuch"]


def test_what_is_not_open_to_clients_is_refused() -> None:
    with (
        at_hand(actor("/api")) as (door, _),
        Client(door.address, token=door.gateway.mint("run")) as runner,
        pytest.raises(Forbidden),
    ):
        runner.inspect("/api")


def test_keys_are_completed() -> None:
    with at_hand(actor("/api"), actor("/agent"), actor("/home")) as (_, client):
        names: dict[str, Any] = {"jobs": Jobs(client), "actors": Actors(client), "x": 1}
        completer = Completer(names)
        job = names["jobs"].submit(SPEC)
        assert completer.keys("actors", "/a") == ["/agent", "/api"]
        assert completer.keys("jobs", "t") == ["t"]
        assert completer.keys("jobs", job.id[:20]) == [job.id]
        assert completer.keys("x", "") == []
        assert completer.keys("nosuch", "") == []
        names["jobs"] = Jobs(Client("127.0.0.1:1", token=""))
        assert completer.keys("jobs", "t") == []
        names["jobs"]._client.close()
        assert completer.complete("client_", 0) is None


def test_watch_shows_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    values = iter([1, 1, 2])
    watch(lambda: next(values), 0, 3)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1::2] == ["1", "2"]
    assert all(len(stamp) == 8 for stamp in shown[0::2])


def test_ctrl_c_ends_a_watch(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    watch(interrupt, 0)
    assert capsys.readouterr().out == "\n"
