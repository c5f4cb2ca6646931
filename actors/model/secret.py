"""A sealed secret, and the key that opens it: what of them is in the store is ciphertext only."""

from __future__ import annotations

import msgspec

__all__ = ["SealKey", "Secret"]


class Secret(msgspec.Struct, frozen=True, array_like=True):
    """secret/<name>: AES-256-GCM under the sealing key of a generation; the tag ends it."""

    generation: int
    nonce: bytes
    ciphertext: bytes
    updated_ms: int


class SealKey(msgspec.Struct, frozen=True, array_like=True):
    """sealkey/<generation>/<node>: the cluster's sealing key, wrapped for one node's X25519 key."""

    recipient: bytes  # that node's public key
    ephemeral: bytes  # the sender's public key, made for this wrap only
    nonce: bytes
    ciphertext: bytes
