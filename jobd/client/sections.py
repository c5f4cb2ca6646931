"""Parts of the clients with nouns of their own: `client.kv`, `client.secrets`, `client.tokens`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from jobd.api.client_keys import ClientKeyPut, ClientKeyView
from jobd.api.cluster_views import ClusterView
from jobd.api.join_tokens import JoinTokenView
from jobd.api.kv import KvItem
from jobd.api.secrets import SecretPut, SecretView
from jobd.api.tokens import Minted, TokenView
from jobd.client import node_operations as nodes
from jobd.client.flow import cas_flow, get_flow, mint_key
from jobd.client.node_operations import Stored

if TYPE_CHECKING:
    from jobd.client.calls import Calls

__all__ = ["KeyValues", "Members", "Secrets", "Tokens"]


class KeyValues:
    """Values by namespace and key: bytes up to 64 KiB, each with its revision."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def get(self, namespace: str, key: str) -> Stored | None:
        """Return a value with its revision, None when there is none."""
        return self._client.run(get_flow(namespace, key))

    def put(self, namespace: str, key: str, value: bytes, *, if_match: int | None = None) -> KvItem:
        """Put a value; with `if_match` only where it is at that revision (PreconditionFailed)."""
        return self._client.call(nodes.put_value(namespace, key, value, if_match))

    def create(self, namespace: str, key: str, value: bytes) -> KvItem:
        """Put a value where there is none. Raises PreconditionFailed."""
        return self._client.call(nodes.put_value(namespace, key, value, None, absent=True))

    def cas(self, namespace: str, key: str, old: bytes | None, new: bytes) -> bool:
        """Put `new` if the value is `old` (None: if there is none), and say whether it was."""
        return self._client.run(cas_flow(namespace, key, old, new))

    def delete(self, namespace: str, key: str, *, if_match: int | None = None) -> None:
        """Delete a value. Raises NotFound, PreconditionFailed."""
        return self._client.call(nodes.delete_value(namespace, key, if_match))

    def list(self, namespace: str, prefix: str = "") -> Generator[KvItem, None, None]:
        """Yield the keys of a namespace in their order."""
        return self._client.pages(partial(nodes.list_values, namespace, prefix), None)


class Secrets:
    """Values that jobs may be given and nobody can read back."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def put(self, name: str, value: bytes, *, if_match: int | None = None) -> SecretPut:
        """Put a secret; with `if_match` only where it is at that revision."""
        return self._client.call(nodes.put_secret(name, value, if_match))

    def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a secret. Raises NotFound, PreconditionFailed."""
        return self._client.call(nodes.delete_secret(name, if_match))

    def list(self) -> Generator[SecretView, None, None]:
        """Yield the secrets by name, without their values."""
        return self._client.pages(nodes.list_secrets, None)


class Tokens:
    """Who may do what."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> list[TokenView]:
        """Return the tokens, without their secrets."""
        return self._client.call(nodes.list_tokens()).items

    def create(self, name: str, scopes: Sequence[str], *, ttl: str | None = None) -> Minted:
        """Mint a token with some of the scopes read, run, write, admin; its text comes once."""
        return self._client.call(nodes.create_token(name, scopes, ttl, mint_key()))

    def revoke(self, token_id: str) -> None:
        """Revoke a token. Raises NotFound."""
        return self._client.call(nodes.revoke_token(token_id))


class Members:
    """Who votes, who may join, and which clients are let in."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def add(self, node: str) -> ClusterView:
        """Make a node that follows a voter. Raises NotFound, Conflict."""
        return self._client.call(nodes.add_member(node))

    def remove(self, node: str) -> None:
        """Make a voter one no more, or forget a node that is gone. Raises NotFound, Conflict."""
        return self._client.call(nodes.remove_member(node))

    def create_token(self, *, ttl: str = "1h") -> Minted:
        """Make a token that lets one empty node join; its text comes once."""
        return self._client.call(nodes.create_join_token(ttl, mint_key()))

    def list_tokens(self) -> list[JoinTokenView]:
        """Return the join tokens that were not used."""
        return self._client.call(nodes.list_join_tokens()).items

    def revoke_token(self, token_id: str) -> None:
        """Revoke a join token. Raises NotFound."""
        return self._client.call(nodes.revoke_join_token(token_id))

    def list_keys(self) -> list[ClientKeyView]:
        """Return the clients that all nodes let in by their keys."""
        return self._client.call(nodes.list_client_keys()).items

    def put_key(self, name: str, key: str) -> ClientKeyPut:
        """Have all nodes let a client in, by its public key. Raises Conflict."""
        return self._client.call(nodes.put_client_key(name, key))

    def delete_key(self, name: str) -> None:
        """Have no node let a client in any more. Raises NotFound."""
        return self._client.call(nodes.delete_client_key(name))
