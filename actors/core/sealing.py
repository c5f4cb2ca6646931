"""Secrets at rest: sealed by one key of the cluster, which is wrapped for each node's own key.

    secret/<name>             value, under the sealing key of a generation
    sealkey/<gen>/<node>      that sealing key, under the node's X25519 key
    <data>/keys/node.x25519   the node's private key: the only thing here that opens anything

Rules
1. Nothing but ciphertext is in the store, its log, its image and its backups.
2. A ciphertext is bound to its place: its name (or node) and generation are authenticated with it,
   so that one secret's bytes, put under another name, don't open.
3. The private key is durable before anything is wrapped for it.
4. A new generation begins when there is none, or when the node has lost its key while no secret
   is left to lose. A key is never replaced under secrets that it would make unreadable.
5. A node of several says its public key in its record. Whoever can open a sealing key wraps it for
   the nodes that can't yet, or have another key now; the first of a generation does so at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from actors import limits
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.core.view import Entry, View
from actors.errors import InvalidInput, NotFound, SealingKeyLost, TooLarge
from actors.model import keys
from actors.model.codec import encode
from actors.model.secret import SealKey, Secret

__all__ = ["SealBox", "Sealed", "Vault", "rewrapped"]

_RESTORE: Final = (
    "restore keys/node.x25519 from a backup of this data directory; if it is gone for good, delete"
    " every secret and put them anew"
)


class SealBox(Protocol):
    """The cryptography, and this node's key file. Calls may block for a moment.

    `context` is authenticated and not stored. What fails its check raises SealingKeyLost.
    """

    def public_key(self) -> bytes | None:
        """Return this node's public key, None while it has none. Raises SealingKeyLost."""

    def make_key(self) -> bytes:
        """Make this node's key, durably, and return its public part. Raises DataDirectory."""

    def new_sealing_key(self) -> bytes:
        """Return 256 random bits."""

    def wrap(self, key: bytes, context: bytes, recipient: bytes = b"") -> SealKey:
        """Wrap a sealing key for the owner of a public key, by default this node.

        Raises InvalidInput for what is no public key.
        """

    def unwrap(self, wrapped: SealKey, context: bytes) -> bytes:
        """Return the sealing key that was wrapped for this node."""

    def seal(self, key: bytes, value: bytes, context: bytes) -> tuple[bytes, bytes]:
        """Return (nonce, ciphertext)."""

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, context: bytes) -> bytes:
        """Return the value."""


class Sealed(NamedTuple):
    """What a transaction needs to put a secret: with the first one comes the sealing key."""

    checks: tuple[Check, ...]
    ops: tuple[Op, ...]


class Vault:
    """Seals and opens secrets for one node. `box` is made when it is first needed."""

    def __init__(self, view: View, node: str, box: Callable[[], SealBox]) -> None:
        self._view = view
        self._node = node
        self._make_box = box
        self._made: SealBox | None = None
        self._public = b""
        self._keys: dict[int, tuple[int, bytes]] = {}  # generation -> (revision, sealing key)

    def prepare(self) -> None:
        """Load the cryptography and the key file; from any thread. Raises SealingKeyLost."""
        self._box.public_key()

    @property
    def public_key(self) -> bytes:
        """This node's public key, empty until it is ready for other nodes."""
        return self._public

    def make_ready(self) -> None:
        """Have a key, so that other nodes can wrap for this one; from any thread.

        Raises SealingKeyLost, DataDirectory.
        """
        self._public = self._box.public_key() or self._box.make_key()

    def wraps(self, now_ms: int) -> Iterator[tuple[str, Txn]]:
        """Yield what wraps sealing keys for the nodes that lack them, by place (rule 5)."""
        if not self._public:
            return
        for place, entry in list(self._view.scan(keys.seal_keys())):
            if keys.last(place) == self._node and entry.noun.recipient == self._public:
                generation = keys.seal_key_generation(place)
                for node, public, seen in self._others(generation):
                    op = self._wrap_for(node, public, generation, self._unwrapped(generation))
                    yield op[0], Txn(seen, (op,), now_ms=now_ms)

    def _others(self, generation: int) -> Iterator[tuple[str, bytes, tuple[Check, ...]]]:
        """Yield nodes without a wrap for their present key, with what that was seen by."""
        for name, entry in self._view.scan("node/"):
            node, public = keys.last(name), entry.noun.seal_key
            place = keys.seal_key(generation, node)
            wrapped = self._view.get(place)
            if not public or node == self._node:
                continue
            if wrapped is None:
                yield node, public, (at(name, entry.revision), absent(place))
            elif wrapped.noun.recipient != public:
                yield node, public, (at(name, entry.revision), at(place, wrapped.revision))

    def _wrap_for(self, node: str, public: bytes, generation: int, key: bytes) -> Op:
        wrapped = self._box.wrap(key, _wrap_context(node, generation), public)
        return keys.seal_key(generation, node), encode(wrapped)

    def check(self) -> None:
        """Raise SealingKeyLost when there are secrets that this node can't open."""
        if self._view.count("secret"):
            generation = self._generation()
            self._check_recipient(self._wrapped(generation), self._box.public_key())

    def seal(self, name: str, value: bytes, now_ms: int) -> Sealed:
        """Return what puts a secret, sealed.

        Raises InvalidInput for what can't be an environment's value, TooLarge, SealingKeyLost.
        """
        _check_value(value)
        generation, key, first = self._sealing_key()
        nonce, ciphertext = self._box.seal(key, value, _secret_context(name, generation))
        secret = Secret(generation, nonce, ciphertext, now_ms)
        put: Op = (keys.secret(name), encode(secret))
        return Sealed(first.checks, (*first.ops, put))

    def open(self, name: str) -> str:
        """Return a secret's value. Raises NotFound, SealingKeyLost."""
        entry = self._view.get(keys.secret(name))
        if entry is None:
            raise NotFound(f"there is no secret {name}", remedy=f"`jobctl secret put {name}`")
        secret: Secret = entry.noun
        key = self._unwrapped(secret.generation)
        context = _secret_context(name, secret.generation)
        return self._box.open(key, secret.nonce, secret.ciphertext, context).decode()

    # -- the sealing key

    @property
    def _box(self) -> SealBox:
        if self._made is None:
            self._made = self._make_box()
        return self._made

    def _generation(self) -> int:
        """Return the newest generation of the sealing key; 0 when there is none."""
        newest = 0
        for key, _ in self._view.scan(keys.seal_keys()):
            newest = max(newest, keys.seal_key_generation(key))
        return newest

    def _sealing_key(self) -> tuple[int, bytes, Sealed]:
        """Return the generation to seal with, its key, and what makes it if it is a new one."""
        generation, public = self._generation(), self._box.public_key()
        if generation:
            try:
                self._check_recipient(self._wrapped(generation), public)
                return generation, self._unwrapped(generation), Sealed((), ())
            except SealingKeyLost:
                if self._view.count("secret"):
                    raise
        if public is None:
            self._box.make_key()
        key = self._box.new_sealing_key()
        return generation + 1, key, self._first_wrap(generation + 1, key)

    def _first_wrap(self, generation: int, key: bytes) -> Sealed:
        place = keys.seal_key(generation, self._node)
        wrapped = self._box.wrap(key, _wrap_context(self._node, generation))
        others = [
            self._wrap_for(node, public, generation, key)
            for node, public, _ in self._others(generation)
        ]
        return Sealed((absent(place),), ((place, encode(wrapped)), *others))

    def _wrapped(self, generation: int) -> Entry:
        entry = self._view.get(keys.seal_key(generation, self._node))
        if entry is None:
            raise SealingKeyLost(
                f"the sealing key of generation {generation} was not wrapped for this node",
                remedy=_RESTORE,
            )
        return entry

    @staticmethod
    def _check_recipient(entry: Entry, public: bytes | None) -> None:
        if public != entry.noun.recipient:
            how = "missing" if public is None else "not the one that its secrets are sealed for"
            raise SealingKeyLost(f"this node's key is {how}", remedy=_RESTORE)

    def _unwrapped(self, generation: int) -> bytes:
        entry = self._wrapped(generation)
        known = self._keys.get(generation)
        if known is not None and known[0] == entry.revision:
            return known[1]
        self._check_recipient(entry, self._box.public_key())
        key = self._box.unwrap(entry.noun, _wrap_context(self._node, generation))
        self._keys[generation] = (entry.revision, key)
        return key


def rewrapped(view: View, box: SealBox, old: str, new: str) -> tuple[Op, ...]:
    """Return what wraps the sealing keys of one node's name for another name of it (rule 2).

    For a restored node, which has the old one's key file; what that does not open stays as it is.
    Raises SealingKeyLost for a key that is damaged.
    """
    ops: list[Op] = []
    for place, entry in view.scan(keys.seal_keys()):
        if keys.last(place) == old and entry.noun.recipient == box.public_key():
            generation = keys.seal_key_generation(place)
            key = box.unwrap(entry.noun, _wrap_context(old, generation))
            wrapped = box.wrap(key, _wrap_context(new, generation))
            ops += [(place, None), (keys.seal_key(generation, new), encode(wrapped))]
    return tuple(ops)


def _check_value(value: bytes) -> None:
    if not value:
        raise InvalidInput("a secret can't be empty")
    if len(value) > limits.SECRET_BYTES:
        raise TooLarge(f"a secret has at most {limits.SECRET_BYTES} bytes (SECRET_BYTES)")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidInput(
            "a secret is text in UTF-8 without NUL, as an environment variable is",
            remedy="encode binary data, for example with base64",
        )


def _secret_context(name: str, generation: int) -> bytes:
    return f"{keys.secret(name)} {generation}".encode()


def _wrap_context(node: str, generation: int) -> bytes:
    return keys.seal_key(generation, node).encode()
