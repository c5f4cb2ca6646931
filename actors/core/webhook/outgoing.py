"""From a delivery to the request that is sent: its body, signed, with the headers of its hook."""

from __future__ import annotations

from collections.abc import Callable

from actors.core.fetch_port import Outgoing
from actors.core.trigger.deliveries import webhook_id
from actors.core.webhook.body import write_body
from actors.core.webhook.signature import signed_headers
from actors.model.hook import Delivery, Sending

__all__ = ["outgoing"]


def outgoing(
    key: str,
    sending: Sending,
    delivery: Delivery,
    *,
    open_secret: Callable[[str], str],
    source: str,
    now_s: int,
) -> Outgoing:
    """Return what to send. Raises NotFound, SealingKeyLost, InvalidInput for its secrets."""
    written = write_body(sending, delivery.event, source=source, is_cut=delivery.is_cut)
    secrets = [open_secret(name) for name in sending.secrets]
    headers = {"Content-Type": written.content_type}
    headers |= signed_headers(secrets, webhook_id(key), now_s, written.body)
    if delivery.event.trace:
        headers["traceparent"] = delivery.event.trace
    private = {name: open_secret(secret) for name, secret in sending.secret_headers.items()}
    return Outgoing(
        sending.url,
        headers,
        {**sending.headers, **private},
        written.body,
        sending.timeout_ms,
    )
