"""The reference page of the job spec says what the code does.

`JOBD_GOLDEN=rewrite` writes its tables anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import limits
from actors.core.spec import job_schema, parse_job
from actors.core.spec.form import AS_WRITTEN

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "job-spec.md"
BEGIN, END = "<!-- keys -->\n", "<!-- /keys -->\n"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def value(schema: dict[str, Any], key: str) -> str:
    """Say in a few words what a schema lets through."""
    if "title" in schema:
        return str(schema["title"])
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"] if word[:3] != "SIG")
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(value(option, key) for option in schema["anyOf"]))
    if "minimum" in schema:
        span = f"{schema['minimum']} to {schema['maximum']}"
        return f"number, {span}" if schema["type"] == "number" else f"whole number, {span}"
    match schema.get("type"):
        case "array":
            return f"list of {value(schema['items'], key)}"
        case "object" if "properties" in schema:
            return f"[{key}](#{key})"
        case "object":
            return f"mapping to {value(schema['additionalProperties'], key)}"
        case "string":
            return "text"
        case None:
            return "any JSON"
        case kind:
            return kind if isinstance(kind, str) else " or ".join(kind)


def records(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the mappings with known keys that a key's schema may hold."""
    options = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    return (option for option in options if "properties" in option)


def table(title: str, properties: dict[str, Any]) -> str:
    rows = [
        f"| `{key}` | {value(schema, key)} | {schema['description']} |\n"
        for key, schema in sorted(properties.items())
        if not key.endswith(("_secs", "_ms")) or key == "backoff_ms"
    ]
    return f"### {title}\n\n| key | value | meaning |\n|---|---|---|\n{''.join(rows)}\n"


def inner_records(*properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the properties of the mappings that these keys may hold."""
    return {
        key: record["properties"]
        for keys in properties
        for key, item in sorted(keys.items())
        for record in records(item)
    }


def tables() -> str:
    schema = job_schema()
    jobs = {"Every job": schema["properties"]}
    for one in schema["oneOf"]:
        own = {key: item for key, item in one["properties"].items() if key != "type"}
        jobs[f"A {one['title']}"] = own
    inner = inner_records(*jobs.values())
    inner |= inner_records(*inner.values())
    return "".join(table(title, properties) for title, properties in {**jobs, **inner}.items())


def test_the_tables_are_current() -> None:
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    current = f"{head}{BEGIN}\n{tables()}{END}{tail}"
    if os.environ.get("JOBD_GOLDEN") == "rewrite":
        PAGE.write_text(current)
    assert PAGE.read_text() == current


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_examples_are_accepted(example: str) -> None:
    parse_job(example.encode(), now_ms=1_800_000_000_000)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_the_page_names_what_there_is() -> None:
    page = PAGE.read_text()
    assert all(hasattr(limits, name) for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", page))
    sentence = page[page.index("In `args`") : page.index("stay as they are")]
    assert set(re.findall(r"`(\w+)`", sentence)) == AS_WRITTEN
