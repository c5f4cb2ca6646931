"""When a failure is tried again, and after how long.

Backoffs: constant, linear, exponential, fibonacci. Jitters as in "Exponential Backoff And Jitter"
(M. Brooker, AWS Architecture Blog, 2015): full, equal and decorrelated. Randomness comes in as a
float in [0, 1), so that the same decision in the simulator is the same delay.
"""

from __future__ import annotations

from typing import Final

from actors.model.spec import Retry

__all__ = ["backoff_ms", "delay_ms", "may_retry"]

# the word of `retry_on` that covers a reason; every other reason is covered by `failed`
_COVERED_BY: Final = {
    "timeout": "timeout",
    "idle_timeout": "timeout",
    "schedule_timeout": "timeout",
    "node_lost": "node_lost",
    "oom": "oom",
}
# the same input gives the same failure
_NEVER: Final = frozenset(("output_schema",))


def may_retry(retry: Retry, fails: int, reason: str, exit_code: int | None) -> bool:
    """Say whether, after this many failures, one with this reason and exit code is tried again."""
    return (
        fails < retry.max_attempts
        and reason not in _NEVER
        and _COVERED_BY.get(reason, "failed") in retry.retry_on
        and exit_code not in retry.no_retry_exit
    )


def delay_ms(retry: Retry, fails: int, previous_ms: int, rand: float) -> int:
    """Return the wait before the next attempt: milliseconds, never above `max_delay_ms`.

    `fails` counts from 1; `previous_ms` is what was waited before the attempt that failed, 0 before
    the first; `rand` is in [0, 1).
    """
    full = backoff_ms(retry, fails)
    match retry.jitter:
        case "none":
            return full
        case "full":
            return int(rand * (full + 1))
        case "equal":
            return full - int(rand * (full // 2 + 1))
        case "decorrelated":
            low = min(retry.delay_ms, retry.max_delay_ms)
            high = min(retry.max_delay_ms, max(low, 3 * previous_ms))
            return low + int(rand * (high - low + 1))


def backoff_ms(retry: Retry, fails: int) -> int:
    """Return the delay after the `fails`-th failure before jitter, at most `max_delay_ms`."""
    base, cap = retry.delay_ms, retry.max_delay_ms
    match retry.backoff:
        case "constant":
            steps: float = 1
        case "linear":
            steps = fails
        case "exponential":
            steps = retry.factor ** min(fails - 1, 64)
        case "fibonacci":
            steps = _fibonacci(fails)
    return int(min(base * steps, cap))


def _fibonacci(n: int) -> int:
    """1, 1, 2, 3, 5, ...; beyond the 64th every delay is at its cap."""
    a, b = 0, 1
    for _ in range(min(n, 64)):
        a, b = b, a + b
    return a
