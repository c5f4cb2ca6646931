"""Triggers and hooks: defined by name, and what they do when something happens.

definition   put and delete them, with the path that a webhook has
firing       what events start, exactly once each
receiving    what a proven webhook starts or emits
deliveries   what is sent for an event, at least once, and its ledger
"""

from actors.core.trigger.definition import (
    define_trigger,
    next_place,
    remove_hook,
    remove_trigger,
)
from actors.core.trigger.deliveries import (
    Sent,
    enqueue,
    redeliver,
    room_of,
    sends_for,
    sent,
)
from actors.core.trigger.firing import Looked, fire, fires_for, mark, miss
from actors.core.trigger.receiving import Payload, payload_of, receive

__all__ = [
    "Looked",
    "Payload",
    "Sent",
    "define_trigger",
    "enqueue",
    "fire",
    "fires_for",
    "mark",
    "miss",
    "next_place",
    "payload_of",
    "receive",
    "redeliver",
    "remove_hook",
    "remove_trigger",
    "room_of",
    "sends_for",
    "sent",
]
