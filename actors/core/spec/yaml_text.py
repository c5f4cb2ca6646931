"""YAML text, read as JSON's data model.

Rules of this file:
1. A plain scalar is null (`null`, `~`, nothing), a boolean (`true`, `false`), a number in JSON's
   form, or text. So `no`, `on`, `2:30`, `077`, `0o17` and `2026-01-01` are text, as in YAML 1.2
   or stricter; the traps of YAML 1.1 are not there.
2. Anchors, aliases, tags, repeated keys and a second document are refused: a spec is what it says.
3. The text is read as a stream of events; nothing recurses, so no depth can exhaust the stack.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from actors.core.spec.document import Reading, UnreadableError
from actors.core.spec.json_text import NUMBER, number
from actors.core.spec.problems import Path, shown

__all__ = ["read_yaml"]

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NAME_SHOWN: Final = 60
# libyaml is eight times faster; a PyYAML built without it still works.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(reading: Reading) -> Any:
    """Return the value of a YAML text. Raises UnreadableError, TooLarge."""
    builder = _Builder(reading)
    try:
        for event in yaml.parse(reading.text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark, began = error.problem_mark, error.context_mark
        context = error.context or ""
        if context and began:
            context += f" that begins in line {began.line + 1}"
        message = ": ".join(part for part in (context, error.problem) if part)
        raise UnreadableError(mark.index if mark else 0, message) from None
    except yaml.reader.ReaderError as error:
        raise UnreadableError(error.position, f"YAML can't hold this: {error.reason}") from None
    return builder.root


class _Open:
    """A list or a mapping that is being read; `key` waits for its value."""

    __slots__ = ("key", "path", "value")

    def __init__(self, value: dict[str, Any] | list[Any], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None


class _Builder:
    """Builds plain values from the parser's events, with a stack of its own."""

    def __init__(self, reading: Reading) -> None:
        self.root: Any = None
        self._reading = reading
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.NodeEvent):
            self._take_node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise UnreadableError(_offset(event), "one spec per text; a second begins")

    def _take_node(self, event: yaml.NodeEvent) -> None:
        offset = _offset(event)
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._take_key(parent, parent.value, event)
            return
        path = self._path(parent, offset)
        self._refuse_extras(event, path)
        value: Any = None
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._reading.enter(path, offset)
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._open.append(_Open(value, path))
        self._put(parent, value)

    def _take_key(self, parent: _Open, mapping: dict[str, Any], event: yaml.NodeEvent) -> None:
        offset = _offset(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise UnreadableError(offset, "a key must be text")
        key = str(event.value)
        path = (*parent.path, key)
        self._reading.mark(path, offset)
        if key in mapping:
            self._reading.problems.add(path, f"the key {shown(key)} stands here twice")
        self._refuse_extras(event, path)
        parent.key = key

    def _path(self, parent: _Open | None, offset: int) -> Path:
        if parent is None:
            self._reading.mark((), offset)
            return ()
        if parent.key is not None:
            return (*parent.path, parent.key)
        path = (*parent.path, len(parent.value))
        self._reading.mark(path, offset)
        return path

    def _put(self, parent: _Open | None, value: Any) -> None:
        if parent is None:
            self.root = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None

    def _refuse_extras(self, event: yaml.NodeEvent, path: Path) -> None:
        if event.anchor is not None:
            kind = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            name = f"the {kind}{event.anchor}"[:_NAME_SHOWN]
            self._reading.problems.add(path, f"{name} is refused; write the value out")
        if getattr(event, "tag", None) is not None:
            self._reading.problems.add(path, "a tag is refused; quote the value to make it text")

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text = str(event.value)
        if not event.implicit[0]:  # quoted or a block: text
            return text
        if text in _NULLS:
            return None
        depth = self._reading.depth
        if len(path) > depth and path[depth] in self._reading.as_written:
            return text
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        digits = NUMBER.fullmatch(text)
        if digits is None:
            return text
        value = number(digits)
        if value is None:
            self._reading.problems.add(path, f"the number {shown(text)} is out of range")
        return value


def _offset(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0
