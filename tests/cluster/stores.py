"""The replicated values as one client sees them, through the client library or over HTTP.

Both say what became of a call in the same words: a result, `Refused` when it surely was not done,
`Unknown` when it may have been.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol

from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    JobdError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
)
from jobd.api.message import ApiReply
from jobd.client import Client
from jobd.client.operation import Operation, operation
from tests.cluster.cluster import ClusterNode

__all__ = ["ByHttp", "ByLibrary", "Refused", "Store", "Unknown"]

NAMESPACE = "lin"
Found = tuple[str, int] | None  # (value, revision)


class Unknown(Exception):
    """It may have been done."""


class Refused(Exception):
    """It was not done."""


class Store(Protocol):
    """One client of one node. Every method raises Refused and Unknown."""

    def read(self, key: str) -> Found: ...

    def write(self, key: str, value: str) -> int: ...

    def swap(self, key: str, value: str, revision: int | None) -> int | None: ...

    def submit(self, spec: dict[str, Any], key: str) -> str: ...

    def close(self) -> None: ...


class ByHttp:
    """Over HTTP, one connection kept alive. A call takes at most `timeout_s`."""

    def __init__(self, node: ClusterNode, token: str, timeout_s: float = 8.0) -> None:
        self._at = node.at["http"]
        self._timeout_s = timeout_s
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def read(self, key: str) -> Found:
        path = f"/kv/{NAMESPACE}/{key}?consistency=linearizable"
        status, body, headers = self._call("GET", path)
        if status == 404:
            return None
        return body.decode(), int(headers["ETag"].strip('"'))

    def write(self, key: str, value: str) -> int:
        return self._put(key, value, {})

    def swap(self, key: str, value: str, revision: int | None) -> int | None:
        condition = {"If-None-Match": "*"} if revision is None else {"If-Match": f'"{revision}"'}
        try:
            return self._put(key, value, condition)
        except _NotHeld:
            return None

    def _put(self, key: str, value: str, condition: dict[str, str]) -> int:
        kind = {"Content-Type": "application/octet-stream"}
        path = f"/kv/{NAMESPACE}/{key}"
        _, body, _ = self._call("PUT", path, value.encode(), {**kind, **condition})
        return int(json.loads(body)["revision"])

    def submit(self, spec: dict[str, Any], key: str) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        _, body, _ = self._call("POST", "/jobs", json.dumps(spec).encode(), headers)
        return str(json.loads(body)["id"])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of any GET."""
        return json.loads(self._call("GET", path)[1])

    def _call(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        fresh = self._connection is None
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._at, timeout=self._timeout_s)
                self._connection.connect()
        except OSError as error:
            self._connection = None
            raise Refused(f"connect: {error}") from None
        try:
            sent = {**self._headers, **(headers or {})}
            self._connection.request(method, f"/api/v1{path}", body, sent)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            raise Unknown(f"{type(error).__name__}{' at once' if fresh else ''}") from None
        if response.status < 300 or (response.status == 404 and method == "GET"):
            return response.status, content, response.headers
        raise _refusal(response.status, content)


class _NotHeld(Exception):
    """The condition did not hold."""


def _refusal(status: int, content: bytes) -> Exception:
    if status == 412:
        return _NotHeld()
    problem = json.loads(content or b"{}")
    code = str(problem.get("type", "")).rpartition(":")[2]
    if problem.get("accepted") == "unknown" or code in ("outcome_unknown", "timeout"):
        return Unknown(code)
    if status in (409, 503):
        return Refused(code)
    return AssertionError(f"{status} {problem}")


class ByLibrary:
    """By the client library over ZeroMQ."""

    def __init__(self, node: ClusterNode, token: str, timeout_s: float = 8.0) -> None:
        self._client = Client(node.at["cluster"], token=token, timeout_s=timeout_s)

    def read(self, key: str) -> Found:
        try:
            return self._client.call(_linearizable(key))
        except NotFound:
            return None
        except JobdError as error:
            raise _outcome(error) from None

    def write(self, key: str, value: str) -> int:
        try:
            return self._client.kv.put(NAMESPACE, key, value.encode()).revision
        except JobdError as error:
            raise _outcome(error) from None

    def swap(self, key: str, value: str, revision: int | None) -> int | None:
        try:
            if revision is None:
                return self._client.kv.create(NAMESPACE, key, value.encode()).revision
            kv = self._client.kv
            return kv.put(NAMESPACE, key, value.encode(), if_match=revision).revision
        except PreconditionFailed:
            return None
        except JobdError as error:
            raise _outcome(error) from None

    def submit(self, spec: dict[str, Any], key: str) -> str:
        try:
            return self._client.submit(spec, idempotency_key=key).id
        except JobdError as error:
            raise _outcome(error) from None

    def close(self) -> None:
        self._client.close()


def _linearizable(key: str) -> Operation[tuple[str, int]]:
    def read(reply: ApiReply) -> tuple[str, int]:
        return reply.body.decode(), int(reply.headers["ETag"].strip('"'))

    params = {"namespace": NAMESPACE, "key": key}
    return operation("get_value", read, params=params, query={"consistency": "linearizable"})


def _outcome(error: JobdError) -> Exception:
    maybe = isinstance(error, ActorUnavailable) and error.maybe_executed
    if maybe or isinstance(error, AskTimeout | OutcomeUnknown):
        return Unknown(error.code)
    if error.retryable:
        return Refused(error.code)
    return AssertionError(repr(error))
