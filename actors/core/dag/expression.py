"""The small language of `depends` and `if`: names, literals, comparisons, `&&`, `||`, `!`.

    or      := and { "||" and }
    and     := not { "&&" not }
    not     := "!" not | compare
    compare := operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
    operand := "(" or ")" | literal | name | "${" name "}"

Rules of this file:
1. No calls, no arithmetic, nothing that could loop: a text of n characters takes O(n) to judge.
2. Text and depth are bounded (EXPRESSION_BYTES, EXPRESSION_DEPTH) before anything is judged.
3. A comparison of two values of different types is false (`!=` true), never an error.
4. What counts as true: everything but null, false, 0, "", [] and {}.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from actors.core.spec.problems import shown
from actors.limits import EXPRESSION_BYTES, EXPRESSION_DEPTH

__all__ = ["Expression", "ExpressionError", "judge", "names_in", "parse_expression"]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<op>\|\||&&|==|!=|<=|>=|[!<>()])"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![\w.-]))"
    r"|\$\{\s*(?P<hole>[^}\s]+)\s*\}"
    r"|(?P<name>[A-Za-z_0-9][\w-]*(?:\.[\w-]+|\[[0-9]{1,9}\])*))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ExpressionError(Exception):
    """A text that is no expression; `offset` is where, in characters."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(f"{message} (at character {offset + 1})")
        self.offset = offset


class Expression(NamedTuple):
    """A node: `op` is or, and, not, a comparison, name or literal; `value` is that of the two."""

    op: str
    parts: tuple[Expression, ...] = ()
    value: Any = None


class _Reader:
    """The tokens of a text, and how far they are read."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def offset(self) -> int:
        return self._tokens[self._at][2]

    def peek(self) -> str:
        """The operator that comes next, `` for anything else."""
        kind, text, _ = self._tokens[self._at]
        return text if kind == "op" else ""

    def take(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        if token[0] != "end":
            self._at += 1
        return token

    def at_end(self) -> bool:
        return self._tokens[self._at][0] == "end"


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ExpressionError(start, f"can't read {shown(text[start : start + 20])}")
        yield match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)
        position = match.end()
    yield "end", "", end


def parse_expression(text: str) -> Expression:
    """Read an expression. Raises ExpressionError."""
    if len(text.encode()) > EXPRESSION_BYTES:
        raise ExpressionError(0, f"longer than {EXPRESSION_BYTES} bytes (EXPRESSION_BYTES)")
    reader = _Reader(text)
    found = _chain(reader, 0, "||")
    if not reader.at_end():
        raise ExpressionError(reader.offset, "expected &&, || or the end")
    return found


def _chain(reader: _Reader, depth: int, sign: str) -> Expression:
    """Read what is joined by one sign: || binds less than &&."""
    parts = []
    while True:
        parts.append(_chain(reader, depth, "&&") if sign == "||" else _negation(reader, depth))
        if reader.peek() != sign:
            break
        reader.take()
    if len(parts) == 1:
        return parts[0]
    return Expression("or" if sign == "||" else "and", tuple(parts))


def _negation(reader: _Reader, depth: int) -> Expression:
    if depth > EXPRESSION_DEPTH:
        raise ExpressionError(
            reader.offset, f"nested deeper than {EXPRESSION_DEPTH} (EXPRESSION_DEPTH)"
        )
    if reader.peek() == "!":
        reader.take()
        return Expression("not", (_negation(reader, depth + 1),))
    left = _operand(reader, depth)
    sign = reader.peek()
    if sign not in _COMPARE:
        return left
    reader.take()
    right = _operand(reader, depth)
    if reader.peek() in _COMPARE:
        raise ExpressionError(reader.offset, "comparisons don't chain; join them by &&")
    return Expression(sign, (left, right))


def _operand(reader: _Reader, depth: int) -> Expression:
    kind, text, offset = reader.take()
    if kind == "text":
        return Expression("literal", (), text[1:-1])
    if kind == "number":
        return Expression("literal", (), float(text) if "." in text else int(text))
    if kind == "name" and text in _WORDS:
        return Expression("literal", (), _WORDS[text])
    if kind in ("name", "hole"):
        return Expression("name", (), text)
    if (kind, text) == ("op", "("):
        inner = _chain(reader, depth + 1, "||")
        if reader.take()[:2] != ("op", ")"):
            raise ExpressionError(offset, "this parenthesis is never closed")
        return inner
    wanted = "a name, a literal or a parenthesis"
    raise ExpressionError(offset, f"expected {wanted}, got {shown(text) if text else 'the end'}")


def names_in(expression: Expression) -> Iterator[str]:
    """Yield the names that an expression asks for, in the order of the text."""
    if expression.op == "name":
        yield expression.value
    for part in expression.parts:
        yield from names_in(part)


def judge(expression: Expression, lookup: Callable[[str], Any]) -> Any:
    """Return the value of an expression; `lookup` knows the names."""
    match expression.op:
        case "literal":
            return expression.value
        case "name":
            return lookup(expression.value)
        case "not":
            return not judge(expression.parts[0], lookup)
        case "or":
            return any(judge(part, lookup) for part in expression.parts)
        case "and":
            return all(judge(part, lookup) for part in expression.parts)
    left, right = (judge(part, lookup) for part in expression.parts)
    if not _comparable(left, right, expression.op):
        return expression.op == "!="
    return _COMPARE[expression.op](left, right)


def _comparable(left: Any, right: Any, sign: str) -> bool:
    """Numbers compare with numbers, text with text; anything else is equal or not."""
    numbers = [type(value) in (int, float) for value in (left, right)]
    if all(numbers) or (type(left) is str and type(right) is str):
        return True
    return type(left) is type(right) and sign in ("==", "!=")
