"""Definitions in the store: content under its digest, in chunks, shared by all that run it.

Rules of this file:
B1  A definition is never changed, only put and, when nothing refers to it, deleted.
B2  Whatever begins to refer to one (a pipeline, a run) puts its head again, under exists(head): a
    deletion that has not seen the new reference is at(head) and conflicts.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from actors import limits
from actors.core.dag.graph import Graph, graph_of
from actors.core.store.txn import Check, Op, Txn, at, exists
from actors.core.view import View
from actors.errors import TooLarge
from actors.model import keys
from actors.model.codec import encode
from actors.model.pipeline import Definition, PipelineSpec

__all__ = ["Plan", "collect", "define", "plan_of", "refer", "unreferred"]

_CACHED: Final = 128
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(PipelineSpec)


class Plan(NamedTuple):
    """What a run follows."""

    spec: PipelineSpec
    graph: Graph


# A digest says what is under it, so that this is a cache and no state.
_plans: OrderedDict[str, Plan] = OrderedDict()


def define(spec: PipelineSpec) -> tuple[str, tuple[Op, ...]]:
    """Return the digest of a definition, and what puts it. Raises TooLarge."""
    content = _ENCODER.encode(spec)
    if len(content) > limits.PIPELINE_BYTES:
        raise TooLarge(
            f"the pipeline takes {len(content)} bytes; PIPELINE_BYTES is {limits.PIPELINE_BYTES}",
            remedy="Move what is large into files, or steps into a pipeline of their own.",
        )
    digest = hashlib.blake2b(content, digest_size=16, person=b"jobd-pipeline").hexdigest()
    size = limits.DEFINITION_CHUNK_BYTES
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    head = Definition(spec.name, len(chunks), len(content))
    return digest, (
        (keys.definition(digest), encode(head)),
        *((keys.definition_chunk(digest, i), encode(chunk)) for i, chunk in enumerate(chunks)),
    )


def refer(view: View, digest: str) -> tuple[Check, Op] | None:
    """Return what makes a new reference to a definition safe (B2), None when it is not there."""
    key = keys.definition(digest)
    entry = view.get(key)
    return (exists(key), (key, encode(entry.noun))) if entry is not None else None


def plan_of(view: View, digest: str) -> Plan | None:
    """Return a definition with its graph, None when it is not in the view."""
    known = _plans.get(digest)
    if known is not None:
        _plans.move_to_end(digest)
        return known
    head = view.get(keys.definition(digest))
    if head is None:
        return None
    pieces = [view.get(keys.definition_chunk(digest, i)) for i in range(head.noun.chunks)]
    spec = _DECODER.decode(b"".join([piece.noun for piece in pieces if piece is not None]))
    plan = _plans[digest] = Plan(spec, graph_of(spec))
    if len(_plans) > _CACHED:
        _plans.popitem(last=False)
    return plan


def unreferred(view: View) -> Iterator[str]:
    """Yield the digests of definitions that no pipeline and no run refers to."""
    referred = {entry.noun.definition for _, entry in view.scan("pipeline/")}
    referred |= {entry.noun.definition for _, entry in view.scan("run/")}
    for key, entry in view.scan("definition/"):
        if isinstance(entry.noun, Definition) and keys.last(key) not in referred:
            yield keys.last(key)


def collect(view: View, digest: str, now_ms: int) -> Txn | None:
    """Return the transaction that deletes a definition, at the head that the caller saw."""
    key = keys.definition(digest)
    head = view.get(key)
    if head is None:
        return None
    chunks = ((keys.definition_chunk(digest, i), None) for i in range(head.noun.chunks))
    return Txn((at(key, head.revision),), ((key, None), *chunks), now_ms=now_ms)
