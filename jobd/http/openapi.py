"""The OpenAPI 3.1 document, made from the table of routes and the types of their handlers.

What every operation has (its credential, its problems, the headers of its answers) is stated once
among the components, and each operation names what applies to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from actors.model.ids import ID_RE, NAME_RE
from jobd.api.problem import STATUS, ProblemDetails
from jobd.api.query import ReadQuery
from jobd.api.route import JSON, SSE, Route

__all__ = ["openapi", "problem_codes"]

_PARAMETER: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
_BINARY: Final = {"type": "string", "format": "binary"}
_ID: Final = {"type": "string", "pattern": f"^{ID_RE.pattern}$"}
_NAME: Final = {"type": "string", "pattern": f"^{NAME_RE.pattern}$"}
# Segments of a path, by their names; any other is text.
_SEGMENTS: Final = {
    "id": _ID,
    "name": _NAME,
    "namespace": _NAME,
    "delivery": {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,5}$"},
    "key": {"type": "string", "pattern": "^[!-~]{1,256}$"},
    "path": _NAME,
}
_ETAG: Final = {"type": "string", "pattern": '^"[0-9]+(-gzip|-deflate)?"$'}
_COUNT: Final = {"type": "integer", "minimum": 0}
_HEADERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "ETag": ("The object's revision, strong", _ETAG),
    "Idempotency-Key": ("The key that makes a repeat safe", {"type": "string", "maxLength": 255}),
    "Idempotent-Replayed": ("An earlier request made it", {"const": "true"}),
    "Location": ("Where what was made is", {"type": "string", "format": "uri-reference"}),
    "RateLimit": ("What is left of the rate", {"type": "string"}),
    "RateLimit-Policy": ("The rate", {"type": "string"}),
    "Retry-After": ("Seconds to wait", _COUNT),
    "WWW-Authenticate": ("The scheme of the credential", {"type": "string"}),
    "X-JobD-Revision": ("The revision that the answer shows, or holds at", _COUNT),
    "X-JobD-Stale": ("Milliseconds since this node last heard a majority of the voters", _COUNT),
    "X-Request-ID": ("The request's id, also in the node's log", {"type": "string"}),
}
_SENT: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Idempotency-Key": (
        "Makes a repeat of this request safe",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": (
        "Only if the object is at this revision, or (*) is there",
        {"type": "string", "pattern": '^("[0-9]{1,16}(-gzip|-deflate)?"|\\*)$'},
    ),
    "If-None-Match": ("Of a read: not if the object is still at this revision", {"type": "string"}),
    "Last-Event-ID": ("The last item that the listener has seen", {"type": "string"}),
}
_EVERYWHERE: Final = ("forbidden", "internal", "unavailable", "busy")
_WITH_SCOPE: Final = ("unauthenticated",)
_WITH_BODY: Final = ("too_large", "unsupported_media_type")
_WITH_CHANGE: Final = ("no_quorum", "read_only", "storage_failed", "outcome_unknown")
_WITH_READ: Final = ("no_quorum",)  # one that must be linearizable
_ONCE: Final = ("idempotency_mismatch", "in_flight")


def openapi(routes: Iterable[tuple[str, Route]], version: str) -> dict[str, Any]:
    """Return the document of (full path, route) pairs."""
    table = list(routes)
    types = [ProblemDetails, *_struct_types(table)]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    refs = dict(zip(types, schemas, strict=True))
    for content in dict.fromkeys(route.content for _, route in table if route.content):
        schema = content()
        name = "".join(word.capitalize() for word in schema["title"].split())
        components[name] = schema
        refs[content] = {"$ref": f"#/components/schemas/{name}"}
    paths: dict[str, Any] = {}
    for path, route in table:
        plain = _PARAMETER.sub(r"{\1}", path)
        paths.setdefault(plain, {})[route.method.lower()] = _operation(path, route, refs)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "jobd_<id>_<secret>"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "JobD", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": dict(_problem_responses(refs[ProblemDetails])),
            "headers": {
                name: {"description": text, "schema": schema}
                for name, (text, schema) in _HEADERS.items()
            },
            "securitySchemes": {"token": bearer},
        },
    }


def problem_codes(path: str, route: Route) -> list[str]:
    """Return the codes of the problems that a route may answer with."""
    codes = {*_EVERYWHERE, *route.errors}
    if route.scope != "public":
        codes.update(_WITH_SCOPE)
    if msgspec.structs.fields(route.query) or _PARAMETER.search(path) or route.body is not None:
        codes.add("invalid_input")
    if _PARAMETER.search(path):
        codes.add("not_found")
    if route.body is not None:
        codes.update(_WITH_BODY)
    if route.changes:
        codes.update((*_WITH_CHANGE, "invalid_input"))
    elif issubclass(route.query, ReadQuery):
        codes.update(_WITH_READ)
    if route.repeatable:
        codes.update(_ONCE)
    if route.conditional:
        codes.add("precondition_failed")
    return sorted(codes)


def _problem_responses(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the response of each status that a problem may have."""
    by_status: dict[int, list[str]] = {}
    for code, (status, _) in sorted(STATUS.items()):
        by_status.setdefault(status, []).append(code)
    for status, codes in sorted(by_status.items()):
        headers = ["X-Request-ID"]
        if status == 401:
            headers.append("WWW-Authenticate")
        if status in (429, 503):
            headers.append("Retry-After")
        yield (
            f"Problem{status}",
            {
                "description": f"A problem (RFC 9457): {', '.join(codes)}",
                "headers": _header_refs(headers),
                "content": {"application/problem+json": {"schema": schema}},
            },
        )


def _struct_types(table: list[tuple[str, Route]]) -> list[Any]:
    found: dict[Any, None] = {}
    for _, route in table:
        for type_ in (route.body, route.returns):
            if type_ not in (None, bytes):
                found[type_] = None
    return list(found)


def _operation(path: str, route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    codes = problem_codes(path, route)
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": route.about,
        "parameters": list(_parameters(path, route)),
        "responses": {
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in sorted({STATUS[code][0] for code in codes})
        }
        | _answers(route, refs),
        "security": [] if route.scope == "public" else [{"token": []}],
        "x-jobd-scope": route.scope,
        "x-jobd-problems": codes,
    }
    if route.body is not None:
        schema = refs.get(route.body if route.content is None else route.content, _BINARY)
        example = {"example": route.example} if route.example is not None else {}
        raw = route.body is bytes and route.content is None
        operation["requestBody"] = {
            "required": route.content is not None or _has_required(route.body),
            "content": {
                type_: {"schema": {} if raw and type_ == JSON else schema} | example
                for type_ in route.accepts
            },
        }
    return operation


def _has_required(body: Any) -> bool:
    return body is not bytes and any(field.required for field in msgspec.structs.fields(body))


def _answers(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    """Return the successes of a route by status."""
    headers = ["X-Request-ID"]
    if route.scope != "public":
        headers += ["X-JobD-Revision", "X-JobD-Stale", "RateLimit", "RateLimit-Policy"]
    if route.etag:
        headers.append("ETag")
    if route.repeatable:
        headers.append("Idempotency-Key")
    answer: dict[str, Any] = {
        "description": route.summary,
        "headers": _header_refs([*headers, *route.headers]),
    }
    if route.returns is not None:
        schema = {"type": "string"} if route.produces == SSE else refs.get(route.returns, _BINARY)
        answer["content"] = {route.produces: {"schema": schema}}
    answers = {str(status): answer for status in (route.status, *route.others)}
    if route.repeatable:
        replayed = _header_refs([*headers, *route.headers, "Idempotent-Replayed"])
        answers["200"] = answer | {
            "description": "An earlier request with this Idempotency-Key made it",
            "headers": replayed,
        }
    if route.etag and not route.changes:
        answers["304"] = {
            "description": "The object is still at the revision of If-None-Match",
            "headers": _header_refs(headers),
        }
    return answers


def _header_refs(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}


def _parameters(path: str, route: Route) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(path):
        schema = _SEGMENTS.get(name, {"type": "string", "minLength": 1})
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    yield from _query_parameters(route)
    sent = ["Idempotency-Key"] if route.changes else []
    if route.conditional:
        sent.append("If-Match")
    if route.method == "PUT" and route.conditional:
        yield _header("If-None-Match", "Only if there is no such object yet", {"const": "*"})
    if route.etag and not route.changes:
        sent.append("If-None-Match")
    if route.produces == SSE:
        sent.append("Last-Event-ID")
    for name in sent:
        yield _header(name, *_SENT[name])


def _header(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": schema,
    }


def _query_parameters(route: Route) -> Iterator[dict[str, Any]]:
    ((_, schema),) = msgspec.json.schema_components([route.query])[1].items()
    for name, property_ in schema.get("properties", {}).items():
        choices = [s for s in property_.get("anyOf", ()) if s.get("type") != "null"]
        shown = choices[0] if choices else {k: v for k, v in property_.items() if v is not None}
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": shown}
