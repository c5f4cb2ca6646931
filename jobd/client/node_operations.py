"""The operations on everything but jobs: events, values, tokens, the node and its actors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.core.history_port import QueryResult
from actors.errors import InvalidInput
from actors.runtime.cell import ActorRow
from actors.runtime.signals import Inspect, Ping
from jobd.api.actor_tree import ActorPage
from jobd.api.client_keys import ClientKeyPage, ClientKeyPut
from jobd.api.cluster import NodePage
from jobd.api.cluster_views import ClusterView
from jobd.api.events import Emitted, EventPageView
from jobd.api.gateway import NodeStatus
from jobd.api.join_tokens import JoinTokenPage
from jobd.api.kv import KvItem, KvPage
from jobd.api.message import ApiReply
from jobd.api.node_views import DrainMode, NodeView
from jobd.api.secrets import SecretPage, SecretPut
from jobd.api.tokens import Minted, TokenPage
from jobd.client.operation import Operation, Query, nothing, operation, reads_as

__all__ = [
    "Stored",
    "add_member",
    "cordon_node",
    "create_join_token",
    "create_token",
    "delete_client_key",
    "delete_secret",
    "delete_value",
    "drain_node",
    "emit_event",
    "event_filters",
    "get_cluster",
    "get_node",
    "get_status",
    "get_value",
    "inspect_actor",
    "list_actors",
    "list_client_keys",
    "list_events",
    "list_join_tokens",
    "list_nodes",
    "list_secrets",
    "list_tokens",
    "list_values",
    "ping_actor",
    "put_client_key",
    "put_secret",
    "put_value",
    "remove_member",
    "revoke_join_token",
    "revoke_token",
    "run_query",
    "stream_events",
]


class Stored(NamedTuple):
    """A value of the key-value store; `revision` is what a conditional change names."""

    value: bytes
    revision: int


def get_status() -> Operation[NodeStatus]:
    """Return what the node says of itself."""
    return operation("get_status", reads_as(NodeStatus))


def get_cluster() -> Operation[ClusterView]:
    """Return who makes up the cluster."""
    return operation("get_cluster", reads_as(ClusterView))


def list_nodes() -> Operation[NodePage]:
    """Return the nodes."""
    return operation("list_nodes", reads_as(NodePage))


def get_node(node: str) -> Operation[NodeView]:
    """Return one node."""
    return operation("get_node", reads_as(NodeView), params={"id": node})


def cordon_node(node: str, *, cordoned: bool) -> Operation[NodeView]:
    """Have a node take no new work, or take work again; again is the same."""
    return operation(
        "cordon_node" if cordoned else "uncordon_node", reads_as(NodeView), params={"id": node}
    )


def drain_node(node: str, mode: DrainMode, deadline: str | None) -> Operation[NodeView]:
    """Cordon a node and empty it."""
    body = msgspec.json.encode({"mode": mode, "deadline": deadline})
    return operation("drain_node", reads_as(NodeView), params={"id": node}, body=body)


def add_member(node: str) -> Operation[ClusterView]:
    """Make a node that follows a voter."""
    body = msgspec.json.encode({"node": node})
    return operation("add_member", reads_as(ClusterView), body=body, again="once")


def remove_member(node: str) -> Operation[None]:
    """Make a voter one no more, or forget a node that is gone."""
    return operation("remove_member", nothing, params={"id": node}, again="once")


def create_join_token(ttl: str, key: str) -> Operation[Minted]:
    """Make a token for one node that is to join."""
    body = msgspec.json.encode({"ttl": ttl})
    return operation("create_join_token", reads_as(Minted), body=body, key=key)


def list_join_tokens() -> Operation[JoinTokenPage]:
    """Return the join tokens that were not used."""
    return operation("list_join_tokens", reads_as(JoinTokenPage))


def revoke_join_token(token_id: str) -> Operation[None]:
    """Revoke a join token."""
    return operation("revoke_join_token", nothing, params={"id": token_id}, again="once")


def list_client_keys() -> Operation[ClientKeyPage]:
    """Return the clients that are let in by their keys."""
    return operation("list_client_keys", reads_as(ClientKeyPage))


def put_client_key(name: str, key: str) -> Operation[ClientKeyPut]:
    """Let a client in by its public key."""
    body = msgspec.json.encode({"key": key})
    params = {"name": name}
    return operation("put_client_key", reads_as(ClientKeyPut), params=params, body=body)


def delete_client_key(name: str) -> Operation[None]:
    """Let a client in no more."""
    return operation("delete_client_key", nothing, params={"name": name}, again="once")


def list_actors(
    prefix: str, node: str | None, cursor: str | None, limit: int
) -> Operation[ActorPage]:
    """Return a page of the live actors."""
    query = {"prefix": prefix, "node": node, "cursor": cursor, "limit": limit}
    return operation("list_actors", reads_as(ActorPage), query=query)


def inspect_actor(address: str) -> Operation[ActorRow]:
    """Return what an actor of the node says of itself, from its own turn."""
    return Operation(Inspect(), lambda row: ActorRow(*row), to=_of_the_node(address))


def ping_actor(address: str) -> Operation[int]:
    """Return an actor's incarnation, from its own turn: a wedged one does not answer."""
    return Operation(Ping(), int, to=_of_the_node(address))


def list_events(query: Query) -> Operation[EventPageView]:
    """Return a page of events."""
    return operation("list_events", reads_as(EventPageView), query=query)


def event_filters(where: Mapping[str, Any]) -> list[str]:
    """Return filters of data as the API takes them."""
    return [f"{path}={msgspec.json.encode(value).decode()}" for path, value in where.items()]


def stream_events(query: Query) -> Operation[None]:
    """Follow events."""
    return operation("stream_events", nothing, query=query)


def emit_event(type_: str, subject: str, data: Mapping[str, Any], key: str) -> Operation[Emitted]:
    """Emit a custom event."""
    body = msgspec.json.encode({"type": type_, "subject": subject, "data": data})
    job = os.environ.get("JOBD_JOB_ID")  # within a job: what the event starts has it for a cause
    headers = {"JobD-Job": job} if job else {}
    return operation("emit_event", reads_as(Emitted), body=body, headers=headers, key=key)


def get_value(namespace: str, key: str) -> Operation[Stored]:
    """Return a value."""
    return operation("get_value", _stored, params={"namespace": namespace, "key": key})


def put_value(
    namespace: str, key: str, value: bytes, if_match: int | None, *, absent: bool = False
) -> Operation[KvItem]:
    """Put a value; `if_match` names the revision that it must be at, `absent` that there is none.

    Sent again, a put would undo what another has put in between.
    """
    headers = _condition(if_match)
    if absent:
        headers["If-None-Match"] = "*"
    return operation(
        "put_value",
        reads_as(KvItem),
        params={"namespace": namespace, "key": key},
        body=value,
        headers=headers,
        again="once",
    )


def delete_value(namespace: str, key: str, if_match: int | None) -> Operation[None]:
    """Delete a value."""
    params = {"namespace": namespace, "key": key}
    return operation(
        "delete_value", nothing, params=params, headers=_condition(if_match), again="once"
    )


def list_values(namespace: str, prefix: str, cursor: str | None, limit: int) -> Operation[KvPage]:
    """Return a page of the keys of a namespace."""
    query = {"prefix": prefix, "cursor": cursor, "limit": limit}
    return operation("list_values", reads_as(KvPage), params={"namespace": namespace}, query=query)


def list_tokens() -> Operation[TokenPage]:
    """Return the tokens."""
    return operation("list_tokens", reads_as(TokenPage))


def create_token(name: str, scopes: Sequence[str], ttl: str | None, key: str) -> Operation[Minted]:
    """Mint a token."""
    body = msgspec.json.encode({"name": name, "scopes": list(scopes), "ttl": ttl})
    return operation("create_token", reads_as(Minted), body=body, key=key)


def revoke_token(token_id: str) -> Operation[None]:
    """Revoke a token."""
    return operation("revoke_token", nothing, params={"id": token_id}, again="once")


def list_secrets(cursor: str | None, limit: int) -> Operation[SecretPage]:
    """Return a page of the secrets' names."""
    query = {"cursor": cursor, "limit": limit}
    return operation("list_secrets", reads_as(SecretPage), query=query)


def put_secret(name: str, value: bytes, if_match: int | None) -> Operation[SecretPut]:
    """Put a secret."""
    return operation(
        "put_secret",
        reads_as(SecretPut),
        params={"name": name},
        body=value,
        headers=_condition(if_match),
        again="once",
    )


def delete_secret(name: str, if_match: int | None) -> Operation[None]:
    """Delete a secret."""
    headers = _condition(if_match)
    return operation("delete_secret", nothing, params={"name": name}, headers=headers, again="once")


def run_query(
    sql: str, parameters: Sequence[Any] | Mapping[str, Any], timeout_s: float, max_rows: int
) -> Operation[QueryResult]:
    """Run one SELECT over the history."""
    asked = {"sql": sql, "parameters": parameters, "timeout_s": timeout_s, "max_rows": max_rows}
    body = msgspec.json.encode(asked)
    return operation("run_query", reads_as(QueryResult), body=body, takes_s=timeout_s)


def _of_the_node(address: str) -> str:
    if not address.startswith("/"):
        raise InvalidInput(
            f"{address!r} is no address of a node's actor", remedy="They look like /scheduler."
        )
    return address


def _condition(if_match: int | None) -> dict[str, str]:
    return {} if if_match is None else {"If-Match": f'"{if_match}"'}


def _stored(reply: ApiReply) -> Stored:
    return Stored(reply.body, int(reply.headers["ETag"].strip('"')))
