"""Triggers, hooks and inbound webhooks as a door changes and receives them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.sealing import Vault
from actors.core.spec.hook import HookSpec
from actors.core.spec.trigger_document import TriggerSpec
from actors.core.start import Refused
from actors.core.store.state import State
from actors.core.store.txn import Op, Txn, absent, at
from actors.core.trigger import (
    define_trigger,
    next_place,
    payload_of,
    receive,
    redeliver,
    remove_hook,
    remove_trigger,
)
from actors.core.webhook.inbound import Unproven, prove
from actors.errors import (
    Busy,
    Conflict,
    InvalidInput,
    InvalidSpec,
    JobdError,
    NotFound,
    PreconditionFailed,
    Problem,
    TooLarge,
    Unauthenticated,
)
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import event_id, is_where
from actors.model.hook import HookRecord
from actors.model.spec import JobSpec, Trigger
from actors.model.target import Target
from actors.model.trigger import TriggerRecord, WebhookSource
from actors.runtime import Clock
from actors.runtime.trace import CURRENT
from jobd.api.gateway import RequestKey, Written
from jobd.api.hook_gateway import Taken
from jobd.node.repeats import Repeats
from jobd.node.writer import Writer, check_match

__all__ = ["NodeHooks"]

_log: Final = logging.getLogger("jobd.webhooks")
_CHALLENGE_CHARS: Final = 512


class NodeHooks:
    """Implements jobd.api.hook_gateway.HookGateway."""

    def __init__(
        self,
        vault: Vault,
        state: State,
        writer: Writer,
        repeats: Repeats,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        check: Callable[[JobSpec], None],
    ) -> None:
        """`check` raises InvalidSpec for a job that nothing here could run."""
        self._vault = vault
        self._state = state
        self._writer = writer
        self._repeats = repeats
        self._clock = clock
        self._new_id = new_id
        self._check = check
        self.outcomes: Counter[str] = Counter()  # of requests to webhooks

    # -- triggers

    async def put_trigger(
        self,
        name: str,
        spec: TriggerSpec,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a trigger, and the template of what it starts."""

        def decide() -> Txn:
            self._check_place(keys.trigger(name), if_match, if_none_match)
            return self._definition(name, spec, principal)

        revision: int = await self._writer.write(decide)
        return revision

    async def define_job(self, spec: JobSpec, *, principal: str, request: RequestKey) -> Written:
        """Make or change the trigger of a spec's name, once."""
        trigger = spec.trigger
        template = msgspec.structs.replace(spec, trigger=Trigger())
        target = Target("job", spec.name)
        wanted = TriggerSpec(trigger.events, trigger.webhook, target, "", template, {})
        written, _ = await self._repeats.write(
            lambda: self._definition(spec.name, wanted, principal),
            request,
            made=keys.trigger(spec.name),
        )
        return written

    def _definition(self, name: str, spec: TriggerSpec, principal: str) -> Txn:
        """The trigger and the template of what it starts, in one transaction."""
        self._check_secrets(spec.webhook.secrets if spec.webhook is not None else ())
        now_ms = self._clock.now_ms()
        record = TriggerRecord(
            principal=principal,
            created_ms=now_ms,
            updated_ms=now_ms,
            target=spec.target,
            emits=spec.emits,
            events=spec.events,
            webhook=spec.webhook,
            spec=spec.written,
        )
        change = define_trigger(self._state, name, record)
        ops = (*change.ops, *self._template(spec.target, spec.template))
        return Txn(change.checks, ops, change.events, now_ms=now_ms)

    async def delete_trigger(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a trigger with its template."""

        def decide() -> Txn:
            change = remove_trigger(self._state, name)
            self._check_place(keys.trigger(name), if_match, False)
            return Txn(change.checks, change.ops, now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    # -- hooks

    async def put_hook(
        self,
        spec: HookSpec,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a hook; where it was is kept, unless it was disabled."""
        key = keys.hook(spec.name)

        def decide() -> Txn:
            held = self._check_place(key, if_match, if_none_match)
            if held is None and self._state.count("hook") >= limits.HOOKS:
                raise Busy(f"there are {limits.HOOKS} hooks already", remedy="delete some of them")
            if spec.sends is not None:
                named = (*spec.sends.secrets, *spec.sends.secret_headers.values())
                self._check_secrets(named)
            now_ms = self._clock.now_ms()
            target = Target("job", f"hook:{spec.name}") if spec.job is not None else None
            if spec.pipeline:
                target = Target("pipeline", spec.pipeline)
            record = HookRecord(
                principal=principal,
                created_ms=now_ms,
                updated_ms=now_ms,
                events=spec.events,
                sends=spec.sends,
                target=target,
                after=next_place(self._state),
                spec=spec.written,
            )
            seen = absent(key)
            if held is not None:
                revision, before = held
                seen, record = at(key, revision), _again(record, before)
            ops = ((key, encode(record)), *self._template(target, spec.job))
            return Txn((seen,), ops, now_ms=now_ms)

        revision: int = await self._writer.write(decide)
        return revision

    async def delete_hook(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a hook with its deliveries."""

        def decide() -> Txn:
            change = remove_hook(self._state, name)
            self._check_place(keys.hook(name), if_match, False)
            return Txn(change.checks, change.ops, now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def redeliver(self, name: str, revision: int, k: int) -> int:
        """Have a delivery sent again."""

        def decide() -> Txn:
            hook = self._state.get(keys.hook(name))
            txn = redeliver(
                self._state, keys.delivery(name, revision, k), now_ms=self._clock.now_ms()
            )
            if hook is None or txn is None:
                raise NotFound(f"hook {name} has no delivery {event_id(revision, k)}")
            if hook.noun.disabled:
                raise Conflict(
                    f"hook {name} is disabled: {hook.noun.disabled}", remedy="put it again first"
                )
            return txn

        done: int = await self._writer.write(decide)
        return done

    def _check_place(
        self, key: str, if_match: int | None, if_none_match: bool
    ) -> tuple[int, Any] | None:
        entry = self._state.get(key)
        revision = entry.revision if entry is not None else 0
        check_match(revision, if_match)
        if if_none_match and revision:
            raise PreconditionFailed(
                f"there is a {keys.kind(key)} {keys.last(key)}",
                revision=revision,
                remedy="put it with If-Match",
            )
        return (revision, entry.noun) if entry is not None else None

    def _check_secrets(self, names: tuple[str, ...]) -> None:
        """Refuse a name of a secret that there is not: a slip shows at once."""
        problems = [
            Problem("$", 0, 0, f"there is no secret {name}")
            for name in names
            if self._state.get(keys.secret(name)) is None
        ]
        if problems:
            raise InvalidSpec(problems, remedy="put it first: `jobctl secret put NAME`")

    def _template(self, target: Target | None, template: JobSpec | None) -> tuple[Op, ...]:
        if target is None or template is None:
            return ()
        self._check(template)
        return ((keys.template(target.name), encode(template)),)

    # -- inbound

    async def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """Prove a request, then do what its trigger says, once for a delivery."""
        if len(body) > limits.WEBHOOK_BYTES:
            self.outcomes["refused"] += 1
            raise TooLarge(
                f"a webhook has at most {limits.WEBHOOK_BYTES} bytes (WEBHOOK_BYTES)",
                remedy="Have its sender send less, or a link to the rest.",
            )
        name, webhook = self._trigger_of(path)
        delivery = await self._prove(path, webhook, headers, body)
        payload = payload_of(headers, body)
        challenge = _challenge(webhook, payload.body)
        if challenge or not is_where(payload.as_data(), webhook.where):
            self.outcomes["filtered"] += 1
            return Taken("", "", name, self._state.revision, False, 0, challenge)
        job_id, key = self._new_id(), delivery or None

        def decide() -> Txn:
            if self._trigger_of(path)[0] != name:
                raise Conflict(f"the path {path} has just become another trigger's")
            made = receive(
                self._state,
                name,
                payload,
                delivery=delivery or job_id,
                new_id=job_id,
                now_ms=self._clock.now_ms(),
                trace=CURRENT.get() or "",
            )
            if isinstance(made, Refused):
                raise _refusal(made)
            return made

        entry = self._state.get(keys.trigger(name))
        assert entry is not None, "it was there in this turn"
        target: Target | None = entry.noun.target
        request = RequestKey(f"webhook:{name}", key, "")
        written, made = await self._repeats.write(decide, request, made=job_id)
        self.outcomes["replayed" if written.replayed else "taken"] += 1
        kind = target.kind if target is not None else "event"
        made = made if target is not None else event_id(written.revision, 0)
        wait_ms = webhook.wait_ms
        return Taken(kind, made, name, written.revision, written.replayed, wait_ms)

    def _trigger_of(self, path: str) -> tuple[str, WebhookSource]:
        held = self._state.get(keys.webhook(path))
        entry = self._state.get(keys.trigger(held.noun)) if held is not None else None
        if held is None or entry is None or entry.noun.webhook is None:
            raise NotFound(f"there is no webhook {path}")
        return held.noun, entry.noun.webhook

    async def _prove(
        self, path: str, webhook: WebhookSource, headers: Mapping[str, str], body: bytes
    ) -> str:
        """Return the delivery's id, "" where none is given. Raises Unauthenticated, no reason."""
        found: Any = Unproven("its secret can't be opened")
        try:
            if webhook.secrets:
                await asyncio.to_thread(self._vault.prepare)
            secrets = [self._vault.open(secret) for secret in webhook.secrets]
            now_s = self._clock.now_ms() // 1000
            found = prove(webhook.scheme, secrets, headers, body, now_s)
        except JobdError as error:
            _log.error("webhook %s: %s", path, error.message)
        if isinstance(found, Unproven):
            self.outcomes["refused"] += 1
            _log.warning("webhook %s was refused: %s", path, found.why)
            raise Unauthenticated("the webhook is refused")
        delivery: str = found.delivery
        return delivery


def _again(record: HookRecord, before: HookRecord) -> HookRecord:
    """Keep what is not asked for anew: the counts, and the place of one that was not disabled."""
    return msgspec.structs.replace(
        record,
        created_ms=before.created_ms,
        after=record.after if before.disabled else before.after,
        fires=before.fires,
        refused=before.refused,
        last=before.last,
        last_ms=before.last_ms,
    )


def _refusal(refused: Refused) -> JobdError:
    if refused.reason == "input":
        return InvalidInput(refused.detail)
    return Conflict(f"nothing can start: {refused.detail}")


def _challenge(webhook: WebhookSource, body: Any) -> str:
    """Return what Slack wants to have back before it sends events to a new receiver."""
    if webhook.scheme != "slack" or not isinstance(body, dict):
        return ""
    if body.get("type") != "url_verification":
        return ""
    text = body.get("challenge")
    return json.dumps({"challenge": str(text)[:_CHALLENGE_CHARS]}) if text else ""
