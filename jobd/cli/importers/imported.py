"""What an importer has made of a file: specs, and what has no equivalent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from jobd.cli.failure import INVALID_SPEC, Failure

__all__ = ["Imported", "as_yaml", "mapping", "read_yaml", "seconds", "whole"]


class Imported:
    """Specs in the order of the file, each with a name of its own, and notes about them."""

    def __init__(self) -> None:
        self.specs: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def add(self, name: str, spec: Mapping[str, Any]) -> str:
        """Take a spec, without what is empty; return the name that it got."""
        wanted = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:58] or "job"
        taken = {each["name"] for each in self.specs}
        unique, number = wanted, 2
        while unique in taken:
            unique, number = f"{wanted}-{number}", number + 1
        kept = {key: value for key, value in spec.items() if value not in (None, "", [], {})}
        self.specs.append({"name": unique, **kept})
        return unique

    def note(self, about: str, text: str) -> None:
        """Say what was left out or means something else, once."""
        line = f"{about}: {text}"
        if line not in self.notes:
            self.notes.append(line)

    def unknown(self, about: str, place: str, given: Mapping[str, Any], known: set[str]) -> None:
        """Note the keys of a mapping that nothing was made of."""
        for key in given:
            if key not in known and given[key] not in (None, "", [], {}):
                self.note(about, f"{place}{key} has no equivalent")


def mapping(value: Any) -> dict[str, Any]:
    """Return a mapping, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def whole(value: Any, default: int = 0) -> int:
    """Return a whole number, also one that is written as text; the default for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) else default


def seconds(value: Any) -> str | None:
    """Return a duration of so many seconds, None for none."""
    return f"{whole(value)}s" if whole(value) > 0 else None


def as_yaml(specs: list[dict[str, Any]]) -> str:
    """Return specs as YAML documents, texts of several lines as they are."""

    class Dumper(yaml.SafeDumper):
        """Writes `|` where a text has lines."""

    def lines(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, lines)
    return str(yaml.dump_all(specs, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100))


def read_yaml(text: bytes) -> Iterator[dict[str, Any]]:
    """Yield the mappings of a file of YAML documents or of JSON. Raises Failure."""
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise Failure(
            f"it is no YAML: {' '.join(str(e).split())}", exit_code=INVALID_SPEC
        ) from None
    for document in documents:
        if isinstance(document, dict):
            items = document.get("items") if document.get("kind") == "List" else None
            yield from (each for each in items or [document] if isinstance(each, dict))
