"""The OpenAPI 3.1 document, made from the table of routes and the types of their handlers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from jobd.api.problem import ProblemDetails
from jobd.api.route import Route

__all__ = ["openapi"]

_PARAMETER: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
_BINARY: Final = {"type": "string", "format": "binary"}


def openapi(routes: Iterable[tuple[str, Route]], version: str) -> dict[str, Any]:
    """Return the document of (full path, route) pairs."""
    table = list(routes)
    types = [ProblemDetails, *_struct_types(table)]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    refs = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for path, route in table:
        plain = _PARAMETER.sub(r"{\1}", path)
        paths.setdefault(plain, {})[route.method.lower()] = _operation(path, route, refs)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "jobd_<id>_<secret>"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "JobD", "version": version},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": bearer}},
    }


def _struct_types(table: list[tuple[str, Route]]) -> list[Any]:
    found: dict[Any, None] = {}
    for _, route in table:
        for type_ in (route.body, route.returns):
            if type_ not in (None, bytes):
                found[type_] = None
    return list(found)


def _operation(path: str, route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    problem = {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": refs[ProblemDetails]}},
    }
    answer: dict[str, Any] = {"description": route.summary}
    if route.returns is not None:
        answer["content"] = {route.produces: {"schema": refs.get(route.returns, _BINARY)}}
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in _PARAMETER.findall(path)
            ),
            *_query_parameters(route),
            *_header_parameters(route),
        ],
        "responses": {str(route.status): answer, "default": problem},
        "security": [] if route.scope == "public" else [{"token": []}],
        "x-jobd-scope": route.scope,
    }
    if route.repeatable:
        operation["responses"]["200"] = {
            "description": "An earlier request with this Idempotency-Key made it",
            "content": answer["content"],
        }
    if route.body is not None:
        schema = refs.get(route.body, _BINARY) if route.content is None else route.content()
        operation["requestBody"] = {
            "required": route.body is bytes,
            "content": {type_: {"schema": schema} for type_ in route.accepts},
        }
    return operation


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    ((_, schema),) = msgspec.json.schema_components([route.query])[1].items()
    parameters = []
    for name, property_ in schema.get("properties", {}).items():
        choices = [s for s in property_.get("anyOf", ()) if s.get("type") != "null"]
        shown = choices[0] if choices else {k: v for k, v in property_.items() if v is not None}
        required = name in schema.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, "schema": shown})
    return parameters


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if not route.repeatable:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": 255},
        }
    ]
