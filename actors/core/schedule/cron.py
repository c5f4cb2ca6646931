"""Cron expressions: read, checked with the place of a fault, and asked for the next local time.

croniter judges and steps; what it lacks or does otherwise is turned into its language first:

C1  5 fields (minute hour day month weekday), or 6 with the seconds first; `@daily` and its kin mean
    what crontab(5) says. Days of month and of week both given: either is enough, as in cron.
C2  `H`, `H(a-b)`, `H/n`, `~` and `a~b` are a number of the field, the same for a schedule's name on
    every node for ever. `H` of a day of the month is 1 to 28: every month has it.
C3  A fault is at an offset of the text, counted in characters; an expression of which no date will
    ever be one (February 30) is a fault of its days.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from croniter import croniter

__all__ = ["CronError", "check_cron", "has_any_hour", "next_local"]

_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SOME_DAY: Final = datetime.datetime(2024, 1, 1)  # noqa: DTZ001 - a local time has no zone
_TOKEN: Final = re.compile(r"\S+", re.ASCII)
_HASHED: Final = re.compile(r"H(?:\(([0-9]+)-([0-9]+)\))?(/[0-9]+)?", re.IGNORECASE)
_TILDE: Final = re.compile(r"([0-9]*)~([0-9]*)(/[0-9]+)?")
_RANDOM: Final = re.compile(r"R(\(.*|/.*)?", re.IGNORECASE)
_MOST_CHARACTERS: Final = 256


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    hashed_most: int


_FIELDS: Final = (
    _Field("second", 0, 59, 59),
    _Field("minute", 0, 59, 59),
    _Field("hour", 0, 23, 23),
    _Field("day of the month", 1, 31, 28),
    _Field("month", 1, 12, 12),
    _Field("day of the week", 0, 7, 6),
)


class _Token(NamedTuple):
    """One item of a field's list, where it stands in the text, and its field's number."""

    text: str
    offset: int
    field: int


class CronError(Exception):
    """An expression is wrong, from this offset (in characters) on."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


def check_cron(text: str) -> None:
    """Check an expression. Raises CronError."""
    expression = _plain(text, "", check=True)
    if _next(_stepper.__wrapped__(expression), _SOME_DAY) is None:
        tokens = _tokens(_ALIASES.get(text.lower(), text))
        raise CronError(tokens[-3].offset, f"never fires: no date is {_days(expression)}")


def has_any_hour(text: str) -> bool:
    """Say whether an expression leaves the hour open (`*`, `*/2`): its fires follow real time."""
    fields = _ALIASES.get(text.lower(), text).split()
    return fields[-4].startswith("*")


def next_local(text: str, name: str, after: datetime.datetime) -> datetime.datetime | None:
    """Return the first local time above `after` (both naive), None when there is none."""
    return _next(_stepper(_plain(text, name)), after)


def _next(stepper: croniter, after: datetime.datetime) -> datetime.datetime | None:
    from croniter import CroniterBadDateError

    try:
        found: datetime.datetime = stepper.get_next(datetime.datetime, start_time=after)
    except (CroniterBadDateError, OverflowError, ValueError):
        return None
    return found


@lru_cache(4096)
def _stepper(expression: str) -> croniter:
    """Return what steps; it moves, so those that are kept are for the node's loop alone.

    A large spec is checked in another thread: it gets one of its own.
    """
    from croniter import croniter  # it loads more than decisions may; only who has a cron needs it

    return croniter(expression, _SOME_DAY, second_at_beginning=True)


@lru_cache(32_768)
def _plain(text: str, name: str, *, check: bool = False) -> str:
    """Return an expression in croniter's language. Raises CronError; checked, for any fault."""
    if len(text) > _MOST_CHARACTERS:
        raise CronError(_MOST_CHARACTERS, f"longer than {_MOST_CHARACTERS} characters")
    if text.startswith("@"):
        if text.lower() not in _ALIASES:
            from actors.core.spec.problems import did_you_mean  # only a slip needs it

            hint = did_you_mean(text, _ALIASES) or f"; known are {', '.join(sorted(_ALIASES))}"
            raise CronError(0, f"unknown word {json.dumps(text)}{hint}")
        return _ALIASES[text.lower()]
    tokens = _tokens(text)
    fields: list[list[str]] = [[] for _ in _FIELDS]
    for token in tokens:
        plain = _unhashed(token, name)
        if check:
            _check(token, plain)
        fields[token.field].append(plain)
    given = [",".join(items) for items in fields if items]
    if check:
        _check_fields(tokens, given)
    return " ".join(given)


def _tokens(text: str) -> list[_Token]:
    words = list(_TOKEN.finditer(text))
    if len(words) not in (5, 6):
        least = text.find(words[6].group(), words[6].start()) if len(words) > 6 else len(text)
        raise CronError(least, f"expected 5 fields, or 6 with the seconds first, got {len(words)}")
    first = 6 - len(words)
    tokens = []
    for number, word in enumerate(words, first):
        offset = word.start()
        for item in word.group().split(","):
            tokens.append(_Token(item, offset, number))
            offset += len(item) + 1
    return tokens


def _unhashed(token: _Token, name: str) -> str:
    """Put a number for `H` and `~` (C2)."""
    field = _FIELDS[token.field]
    if _RANDOM.fullmatch(token.text):
        raise CronError(token.offset, "R is another number each time; H is one that stays")
    if (match := _HASHED.fullmatch(token.text)) or (match := _TILDE.fullmatch(token.text)):
        least, most, step = match.groups()
        low, high = int(least or field.least), int(most or field.hashed_most)
    else:
        return token.text
    if not field.least <= low <= high <= field.most:
        raise CronError(token.offset, _bounds(field, token.text))
    if step is None:
        return str(_number(name, token.field, low, high))
    every = int(step[1:])
    if not 0 < every <= field.most:
        raise CronError(token.offset, f"a step of {every} in {json.dumps(token.text)}")
    start = _number(name, token.field, low, min(low + every - 1, high))
    # a range of one number would be the whole field to croniter
    return str(start) if start + every > high else f"{start}-{high}/{every}"


def _number(name: str, field: int, low: int, high: int) -> int:
    mixed = hashlib.blake2b(f"{field}\0{name}".encode(), digest_size=8, person=b"jobd-cron")
    return low + int.from_bytes(mixed.digest(), "big") % (high - low + 1)


def _check(token: _Token, plain: str) -> None:
    """Judge one item alone, in its field, so that a fault has a place."""
    from croniter import CroniterError, croniter

    if not plain:
        raise CronError(token.offset, f"{_FIELDS[token.field].name}: an empty item in a list")
    alone = ["*"] * 6
    alone[token.field] = plain
    try:
        croniter.expand(" ".join(alone), second_at_beginning=True)
    except (CroniterError, ValueError, KeyError, IndexError):
        raise CronError(token.offset, _bounds(_FIELDS[token.field], token.text)) from None


def _check_fields(tokens: list[_Token], given: list[str]) -> None:
    """Judge what items make together: a `15W` in a list, `1#2` beside plain days."""
    from croniter import CroniterError, croniter

    first = len(_FIELDS) - len(given)
    for i, field in enumerate(given, first):
        alone = ["*"] * 6
        alone[i] = field
        try:
            croniter.expand(" ".join(alone), second_at_beginning=True)
        except (CroniterError, ValueError):
            offset = next(token.offset for token in tokens if token.field == i)
            text = f"the items of {json.dumps(field)} don't go together"
            raise CronError(offset, f"{_FIELDS[i].name}: {text}") from None


def _bounds(field: _Field, text: str) -> str:
    return f"{field.name}: expected {field.least} to {field.most}, got {json.dumps(text)}"


def _days(expression: str) -> str:
    day, month, _ = expression.split()[-3:]
    return f"day {day} of month {month}"
