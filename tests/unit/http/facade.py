"""The facade on a real port in a thread of its own, and a plain client for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

from aiohttp import web

from jobd.http import build_app, serve
from tests.unit.http.memory_gateway import MemoryGateway

__all__ = ["Answer", "Facade", "facade"]

P = ParamSpec("P")
T = TypeVar("T")


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Facade:
    """`ask` sends one request; `do` runs something on the facade's loop."""

    def __init__(self, gateway: MemoryGateway, **options: Any) -> None:
        self.gateway = gateway
        self.token = gateway.mint()
        self.port = 0
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._thread.start()
        self.serve(0)

    def serve(self, port: int) -> None:
        app = build_app(self.gateway, clock=lambda: self.gateway.now_ms, **self._options)
        self.serve_app(app, port)

    def serve_app(self, app: web.Application, port: int = 0) -> None:
        self._runner, self.port = self._wait(serve(app, "127.0.0.1", port))

    def stop_serving(self) -> None:
        self._wait(self._runner.cleanup())

    def close(self) -> None:
        self.stop_serving()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async def act() -> T:
            return action(*args, **kwargs)

        done: T = self._wait(act())
        return done

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """`token` "" is the facade's own with all scopes, None is none."""
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return self.ask(method, f"/api/v1{path}", body, **more)

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[Iterator[tuple[str, str, Any]]]:
        """Give an iterator of (event, id, data) of a stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        sent = {"Authorization": f"Bearer {self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/api/v1{path}", headers=sent)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        try:
            yield _frames(response)
        finally:
            connection.close()
            response.close()


def _frames(lines: Any) -> Iterator[tuple[str, str, Any]]:
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "data" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


@contextmanager
def facade(**options: Any) -> Iterator[Facade]:
    served = Facade(MemoryGateway(), **options)
    served.open()
    try:
        yield served
    finally:
        served.close()
