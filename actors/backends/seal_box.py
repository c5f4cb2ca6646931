"""The cryptography of secrets, by the library `cryptography`, and this node's private key on disk.

A wrap is what RFC 9180 (HPKE) calls DHKEM(X25519, HKDF-SHA256): an ephemeral key pair for each,
the shared point hashed with both public keys into the key of an AES-256-GCM. Nonces are random:
with one sealing key, 2^32 secrets can be put before a repeat is likelier than 2^-32 (NIST SP
800-38D 8.3).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.backends.disk import Disk, refusing
from actors.errors import InvalidInput, SealingKeyLost
from actors.model.secret import SealKey

__all__ = ["KEY_FILE", "KeyFileBox"]

KEY_FILE: Final = "node.x25519"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class KeyFileBox:
    """Implements actors.core.sealing.SealBox with a key file in a directory.

    The file holds the private key in hex. It is read once: what a node has begun with, it keeps.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / KEY_FILE
        self._private: X25519PrivateKey | None = None

    def public_key(self) -> bytes | None:
        """Return this node's public key, None while it has none. Raises SealingKeyLost."""
        if self._private is None:
            try:
                self._private = _private(self._file.read_text())
            except FileNotFoundError:
                return None
            except (OSError, ValueError) as error:
                raise SealingKeyLost(
                    f"{self._file} can't be used: {error}",
                    remedy="mend its owner and permissions, or restore it from a backup",
                ) from None
        return self._private.public_key().public_bytes_raw()

    def make_key(self) -> bytes:
        """Make the key, durably, where there is none. Raises ReadOnly, StorageFailed."""
        private = X25519PrivateKey.generate()
        directory = self._file.parent
        temporary = directory / f".{KEY_FILE}.new"
        with refusing("this node's key can't be written"):
            directory.mkdir(mode=0o700, exist_ok=True)
            Disk().sync_dir(directory.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                file.write(f"{private.private_bytes_raw().hex()}\n")
                file.flush()
                os.fsync(file.fileno())
            Disk().rename(temporary, self._file)
        self._private = private
        return private.public_key().public_bytes_raw()

    def new_sealing_key(self) -> bytes:
        """Return 256 random bits."""
        return secrets.token_bytes(_KEY_BYTES)

    def wrap(self, key: bytes, context: bytes, recipient: bytes = b"") -> SealKey:
        """Wrap a sealing key for the owner of a public key, by default this node.

        Raises InvalidInput for what is no public key.
        """
        recipient = recipient or self.public_key() or b""
        assert recipient, "a key is made before anything is wrapped for it"
        sender = X25519PrivateKey.generate()
        ephemeral = sender.public_key().public_bytes_raw()
        try:
            shared = sender.exchange(X25519PublicKey.from_public_bytes(recipient))
        except ValueError as error:  # no point of the curve, or one of low order
            raise InvalidInput(f"no X25519 key: {error}") from None
        wrapping = _derive(shared, ephemeral + recipient, context)
        nonce, ciphertext = self.seal(wrapping, key, context)
        return SealKey(recipient, ephemeral, nonce, ciphertext)

    def unwrap(self, wrapped: SealKey, context: bytes) -> bytes:
        """Return the sealing key that was wrapped for this node. Raises SealingKeyLost."""
        assert self._private is not None, "the vault has compared the public keys"
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(wrapped.ephemeral))
        except ValueError:  # no point of the curve, or one of low order
            raise _damaged() from None
        wrapping = _derive(shared, wrapped.ephemeral + wrapped.recipient, context)
        return self.open(wrapping, wrapped.nonce, wrapped.ciphertext, context)

    def seal(self, key: bytes, value: bytes, context: bytes) -> tuple[bytes, bytes]:
        """Return (nonce, ciphertext)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce, AESGCM(key).encrypt(nonce, value, context)

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, context: bytes) -> bytes:
        """Return the value. Raises SealingKeyLost."""
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, context)
        except (InvalidTag, ValueError):
            raise _damaged() from None


def _private(text: str) -> X25519PrivateKey:
    raw = bytes.fromhex(text)
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"it has {len(raw)} bytes, not {_KEY_BYTES}")
    return X25519PrivateKey.from_private_bytes(raw)


def _derive(shared: bytes, public_keys: bytes, context: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=public_keys, info=b"jobd " + context).derive(shared)


def _damaged() -> SealingKeyLost:
    return SealingKeyLost(
        "the ciphertext does not open with this node's key",
        remedy="it was damaged or put under another name: put the secret anew",
    )
