"""The load of a soak: jobs at a fixed rate, each followed to its one end.

Ends are heard on an event stream, except those of every eighth job, which are waited for by a long
poll. Then the job is read and compared with what its kind expects. A second end of a job, an end
that nobody heard of and a gap in the stream are faults.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, OrderedDict, deque
from typing import Any

import aiohttp

from tests.bench.soak.kinds import Kind, mixed

__all__ = ["Load"]

_TERMINAL = ("completed", "failed", "cancelled", "expired")
_MOST_OPEN = 2_000  # jobs; more are not submitted, and counted
_REMEMBERED = 100_000  # ended jobs, to notice a second end
_LONG_POLL_EACH = 8
_CANCEL_AFTER_S = 0.3
_END_WITHIN_S = 60.0


class _Open:
    """A job that was accepted and has not ended."""

    __slots__ = ("began", "ended")

    def __init__(self, began: float) -> None:
        self.began = began
        self.ended = asyncio.Event()


class Load:
    """Submits jobs to a node and follows them; `faults` is what went wrong, the first ones told."""

    def __init__(self, url: str, token: str, rate: float, seed: int = 1) -> None:
        self._base = f"{url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pause_s = 1 / rate
        self._kinds = mixed(seed)
        self._open: dict[str, _Open] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._early: set[str] = set()  # ends heard before the answer to their submission
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.first_faults: list[str] = []
        self.submit_s: deque[float] = deque(maxlen=100_000)  # POST to 202
        self.success_s: deque[float] = deque(maxlen=100_000)  # POST to the end of a `true`

    @property
    def open(self) -> int:
        """How many accepted jobs have not ended."""
        return len(self._open)

    async def run(self, stop: asyncio.Event) -> None:
        """Submit until told to stop, then wait for the end of what is open."""
        connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=300)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=self._headers
        ) as self._session:
            listening = asyncio.Event()
            listener = asyncio.create_task(self._listen(listening))
            await asyncio.wait_for(listening.wait(), 10)
            await self._submit_all(stop)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=2 * _END_WITHIN_S)
            listener.cancel()
            for job_id in self._open:
                self._fault("no end", job_id)

    async def _submit_all(self, stop: asyncio.Event) -> None:
        """Keep to the clock: what came late is caught up."""
        due = time.monotonic()
        number = 0
        while not stop.is_set():
            due += self._pause_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number += 1
            if len(self._tasks) >= _MOST_OPEN:
                self.counts["held back"] += 1
                continue
            task = asyncio.create_task(self._follow(next(self._kinds), number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # -- one job

    async def _follow(self, kind: Kind, number: int) -> None:
        try:
            await self._follow_job(kind, by_poll=number % _LONG_POLL_EACH == 0)
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError) as error:
            self._fault(type(error).__name__, f"{kind.name}: {error}")

    async def _follow_job(self, kind: Kind, *, by_poll: bool) -> None:
        began = time.perf_counter()
        spec = {"name": f"soak-{kind.name.replace(' ', '-')}", "type": "command", **kind.spec}
        job_id = (await self.post("/jobs", spec))["id"]
        self.submit_s.append(time.perf_counter() - began)
        self.counts["accepted"] += 1
        job = self._open[job_id] = _Open(began)
        if job_id in self._early:
            self._early.discard(job_id)
            self._end(job_id)
        if kind.name == "cancelled":
            await asyncio.sleep(_CANCEL_AFTER_S)
            await self.post(f"/jobs/{job_id}/cancel", {"reason": "soak"})
        if by_poll:
            polled = await self.get(f"/jobs/{job_id}?wait=60s&until=terminal")
            if polled["state"] != kind.end[0]:
                self._fault("wrong poll", f"{kind.name} {polled}")
        await asyncio.wait_for(job.ended.wait(), _END_WITHIN_S)
        if kind.name == "success":
            self.success_s.append(time.perf_counter() - began)
        found = await self.get(f"/jobs/{job_id}")
        if (found["state"], found["reason"]) != kind.end:
            self._fault("wrong end", f"{kind.name} {found}")
        elif kind.holds is not None and not await kind.holds(self, job_id, found):
            self._fault("wrong result", f"{kind.name} {found}")
        self.counts[f"ended: {kind.name}"] += 1

    def _end(self, job_id: str) -> None:
        """Note an end that the event stream told."""
        if job_id in self._ended or job_id in self._early:
            self._fault("second end", job_id)
            return
        job = self._open.pop(job_id, None)
        if job is None:
            self._early.add(job_id)
            return
        self.counts["ended"] += 1
        job.ended.set()
        self._ended[job_id] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _fault(self, what: str, about: str) -> None:
        self.faults[what] += 1
        if len(self.first_faults) < 20:
            self.first_faults.append(f"{what}: {about[:600]}")

    # -- the doors

    async def get(self, path: str) -> Any:
        """Return the JSON of a route; anything but 2xx raises."""
        async with self._session.get(f"{self._base}{path}", raise_for_status=True) as response:
            return json.loads(await response.read())

    async def post(self, path: str, body: Any) -> Any:
        """Likewise; a node that is busy is asked again."""
        while True:
            async with self._session.post(f"{self._base}{path}", json=body) as response:
                if response.status == 429:
                    self.counts["busy"] += 1
                    await asyncio.sleep(0.5)
                    continue
                response.raise_for_status()
                return json.loads(await response.read())

    async def _listen(self, listening: asyncio.Event) -> None:
        types = ",".join(f"jobd:job:{word}" for word in _TERMINAL)
        after = ""
        while True:
            try:
                async with self._session.get(
                    f"{self._base}/events/stream?types={types}",
                    headers={"Last-Event-ID": after} if after else {},
                    raise_for_status=True,
                ) as response:
                    listening.set()
                    async for line in response.content:
                        if line.startswith(b"id: "):
                            after = line[4:].strip().decode()
                        elif line.startswith(b"data: "):
                            self._heard(json.loads(line[6:]))
            except (aiohttp.ClientError, TimeoutError) as error:
                self._fault("stream lost", str(error))
                await asyncio.sleep(0.5)

    def _heard(self, event: dict[str, Any]) -> None:
        if "type" not in event:
            self._fault("gap", str(event))
            return
        self._end(event["subject"].removeprefix("job/"))
