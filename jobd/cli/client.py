"""The HTTP client: http.client, problems as failures, submissions that are safe to repeat.

Any node of a cluster will do. When one can't be reached, or says that it can't just now, the same
request goes to the next, as long as that can't do twice what should happen once: a request that may
have been received is repeated only if it reads or carries an idempotency key.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from actors.model.ids import make_id
from jobd.cli import failure
from jobd.cli.discovery import DEFAULT_URL, Found
from jobd.cli.failure import Failure

__all__ = ["PREFIX", "Answer", "Client", "Refused", "Unreachable", "other_urls"]

PREFIX: Final = "/api/v1"
TIMEOUT_S: Final = 90.0  # above the longest wait of the API
STREAM_TIMEOUT_S: Final = 45.0  # three heartbeats
PATIENCE_S: Final = 60.0  # how long a node that was there may be away
PAUSE_S: Final = 0.2
HURRY_S: Final = 10.0  # of a node that may be frozen, while there are others to ask
_NOT_NOW: Final = {
    "actor_unavailable",
    "busy",
    "mailbox_full",
    "no_quorum",
    "outcome_unknown",
    "timeout",
    "unavailable",
}

Event = tuple[str, str, Any]  # (event, id, data)


class Unreachable(Failure):
    """A node did not answer; `sent`: it may have received the request."""

    def __init__(self, url: str, why: str, *, sent: bool = True) -> None:
        super().__init__(
            f"no node reachable at {url} ({why})",
            remedy="Start one with `jobd start`, or name one with --url or JOBD_URL.",
            exit_code=failure.UNREACHABLE,
        )
        self.sent = sent


class Answer(NamedTuple):
    """A response that is no problem."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """The API of a cluster's nodes. One request per connection: a command makes few.

    `locate` says where they are, with which token; it is asked again while none answers, for a node
    may come back at another port. `timeout_s` bounds each step of a request.
    """

    def __init__(self, locate: Callable[[], Found], *, timeout_s: float = TIMEOUT_S) -> None:
        self._locate = locate
        self._timeout_s = timeout_s
        self._reached = False  # whether a node answered: then it may come back
        self._others: list[SplitResult] | None = None  # that a node named, None: it was not asked
        self._go(locate())

    def _go(self, found: Found) -> None:
        self._nodes = [*map(_split, found.urls), *(self._others or ())]
        self._source, self._token = found.source, _checked(found.token)

    def _meet(self) -> None:
        """See that a node answers; who knows but one asks it for the others. Raises Unreachable."""
        if self._others is not None:
            return
        self._others = []
        if len(self._nodes) > 1:
            self.request("GET", "/healthz")
            return
        try:
            shown = self.get("/nodes")["items"]
        except Refused:  # a token that may not look, or a node that can't just now
            return
        known = {node.netloc for node in self._nodes}
        self._others = [url for url in other_urls(self._nodes[0], shown) if url.netloc not in known]
        self._nodes += self._others

    @property
    def url(self) -> str:
        """The node that is asked next."""
        return f"{self._nodes[0].scheme}://{self._nodes[0].netloc}"

    def _pause(self) -> None:
        """Wait a moment, then look where the nodes are now; other ones than before are not they."""
        time.sleep(PAUSE_S)
        with suppress(Failure):
            found = self._locate()
            if found.source == self._source and len(found.urls) == 1:
                self._go(found)

    def _next_node(self) -> None:
        self._nodes = [*self._nodes[1:], self._nodes[0]]  # one step: threads share a client

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; a body that is not bytes goes as JSON. Raises Failure."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        repeatable = method == "GET" or "Idempotency-Key" in sent
        target = _target(path, query)
        waits = "wait" in (query or ())
        for left in reversed(range(len(self._nodes))):
            hurry = left and repeatable and not waits
            timeout_s = min(HURRY_S, self._timeout_s) if hurry else self._timeout_s
            try:
                return self._ask(method, target, body, sent, timeout_s)
            except Unreachable as e:
                if not left or (e.sent and not repeatable):
                    raise
            except Refused as e:
                unknown = e.code in ("outcome_unknown", "timeout")
                if not left or e.status != 503 or (unknown and not repeatable):
                    raise
            self._next_node()
        raise AssertionError("the last node's failure is raised")

    def _ask(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_s: float,
    ) -> Answer:
        connection = self._connect(timeout_s)
        try:
            response = self._send(connection, method, target, body, headers)
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as e:
            raise Unreachable(self.url, _why(e)) from None
        finally:
            connection.close()
        self._reached = True
        if answer.status >= 400:
            raise _failed(answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a GET; parameters that are None or empty are left out."""
        return self.request("GET", path, query=query).json

    def submit(self, path: str, *, body: Any = None, key: str | None = None, **more: Any) -> Answer:
        """POST what must happen once: the same key again while the outcome is unknown.

        A key of our own has the form of an id, so it becomes the job's id and leaves no record.
        Raises Unreachable at once where no node ever answered.
        """
        key = key or make_id(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))
        headers = {**more.pop("headers", {}), "Idempotency-Key": key}
        self._meet()
        return self._patiently(
            lambda: self.request("POST", path, body=body, headers=headers, **more)
        )

    def wait(self, path: str, **query: Any) -> Any:
        """Return the JSON of a GET that may find the node restarting."""
        if self._reached:
            self._meet()
        return self._patiently(lambda: self.request("GET", path, query=query)).json

    def stream(self, path: str, query: dict[str, Any], after: str = "") -> Iterator[Event]:
        """Yield the events of a stream, across reconnections, until the caller stops.

        Resumes after the last id, so nothing is repeated or left out that the server does not tell
        as a gap. Raises Unreachable when no node has it any more.
        """
        with suppress(Unreachable):
            self._meet()
        since, failures = time.monotonic(), 0
        while True:
            try:
                for event in self._stream_once(path, query, after):
                    since, failures = time.monotonic(), 0
                    after = event[1] or after
                    yield event
                lost = Unreachable(self.url, "the stream ended")
            except Unreachable as e:
                lost = e
            except (OSError, http.client.HTTPException) as e:
                lost = Unreachable(self.url, _why(e))
            except Refused as e:
                if e.code not in _NOT_NOW:
                    raise
                lost = Unreachable(self.url, e.cause)
            self._next_node()
            failures += 1
            if failures < len(self._nodes):
                continue
            if not self._reached or time.monotonic() - since > PATIENCE_S:
                raise lost
            self._pause()

    def _stream_once(self, path: str, query: dict[str, Any], after: str) -> Iterator[Event]:
        connection = self._connect(STREAM_TIMEOUT_S)
        try:
            headers = {"Last-Event-ID": after} if after else {}
            response = self._send(connection, "GET", _target(path, query), None, headers)
            if response.status != 200:
                raise _failed(Answer(response.status, response.headers, response.read()))
            self._reached = True
            yield from _events(response)
        finally:
            connection.close()

    def _patiently(self, send: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return send()
            except (Unreachable, Refused) as e:
                again = self._reached and (isinstance(e, Unreachable) or e.code in _NOT_NOW)
                if not again or time.monotonic() > deadline:
                    raise
            self._pause()

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        node = self._nodes[0]
        secure = node.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(node.hostname or "", node.port, timeout=timeout_s)
        try:
            connection.connect()
        except OSError as e:
            raise Unreachable(self.url, _why(e), sent=False) from None
        return connection

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> http.client.HTTPResponse:
        if self._token:
            headers = {"Authorization": f"Bearer {self._token}", **headers}
        connection.request(method, target, body, headers)
        return connection.getresponse()


class Refused(Failure):
    """The node answered with a problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.code = str(problem.get("type", "")).rpartition(":")[2]
        super().__init__(
            problem.get("detail") or problem.get("title") or f"status {status}",
            remedy=problem.get("remedy", ""),
            exit_code=failure.of_problem(status, self.code),
        )
        self.status = status
        self.problems: list[dict[str, Any]] = problem.get("errors", [])
        self.file: str | None = None  # that the places of the problems are in


def _failed(answer: Answer) -> Refused:
    try:
        problem = answer.json
    except ValueError:
        problem = {}
    return Refused(answer.status, problem if isinstance(problem, dict) else {})


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # its port, or the brackets of an address
        usable = False
    if not usable:
        raise Failure(
            f"{url!r} is no URL of a node",
            remedy=f"Give one like {DEFAULT_URL}.",
            exit_code=failure.USAGE,
        )
    return parts


def other_urls(node: SplitResult, shown: list[dict[str, Any]]) -> Iterator[SplitResult]:
    """Yield where the nodes that a node shows serve HTTP, as far as they can be reached from here.

    Another machine's loopback is not ours, and an address of all interfaces names none.
    """
    here = _is_loopback(node.hostname or "")
    for other in shown:
        host, _, port = other["addresses"].get("http", "").rpartition(":")
        reachable = host.strip("[]") not in ("", "0.0.0.0", "::")  # noqa: S104 - it is refused
        if other["state"] == "up" and reachable and (here or not _is_loopback(host.strip("[]"))):
            yield _split(f"{node.scheme}://{host}:{port}")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _checked(token: str | None) -> str | None:
    """Return a token without what a file or a shell left around it; never shown in an error."""
    token = token.strip() if token else None
    if token and not (token.isascii() and token.isprintable()):
        raise Failure(
            "the token is not one of JobD's: it has other characters than they have",
            remedy="Give it as `jobctl token create` printed it.",
            exit_code=failure.CREDENTIAL,
        )
    return token


def _target(path: str, query: dict[str, Any] | None) -> str:
    root = path in ("/healthz", "/readyz")
    full = path if root or path.startswith(PREFIX) else PREFIX + path
    wanted = {name: value for name, value in (query or {}).items() if value not in (None, "", ())}
    return f"{full}?{urlencode(wanted, doseq=True)}" if wanted else full


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """Read server-sent events; comments (heartbeats) and the retry time only keep it alive."""
    fields: dict[str, str] = {}
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and "data" in fields:
            yield fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
