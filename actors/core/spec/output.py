"""What an attempt wrote as its output."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.core.spec.json_schema import value_problems
from actors.core.spec.problems import format_path
from actors.limits import SCHEMA_OUTPUT_BYTES

__all__ = ["read_output"]

_LISTED: Final = 3


def read_output(line: bytes | None, schema: dict[str, Any] | None) -> tuple[bytes | None, str, str]:
    """Return (the output's JSON or None, the reason for a failure or "", its detail).

    `line` is the last line of the output file, None when there is none. The reason is `output`
    when the line is no JSON, `output_schema` when it doesn't satisfy the spec's schema. A job with
    an output schema that wrote nothing fails by it: whoever reads its output relies on that. So
    does one whose output is above SCHEMA_OUTPUT_BYTES: what a decoder makes of it is many times its
    size. Without a schema nothing is made of it.
    """
    if line is None:
        missing = "nothing was written to $JOBD_OUTPUT" if schema is not None else ""
        return None, "output_schema" if missing else "", missing
    if schema is not None and len(line) > SCHEMA_OUTPUT_BYTES:
        size = f"the output takes {len(line)} bytes"
        return None, "output_schema", f"{size}; SCHEMA_OUTPUT_BYTES is {SCHEMA_OUTPUT_BYTES}"
    try:
        line.decode()
        value = msgspec.json.decode(line, type=msgspec.Raw if schema is None else Any)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, "output", f"the output's last line is no JSON: {error}"
    except RecursionError:
        return None, "output", "the output's last line is nested too deep"
    if schema is not None and (found := value_problems(schema, value, _LISTED)):
        return (
            None,
            "output_schema",
            "; ".join([f"{format_path(path)}: {message}" for path, message in found]),
        )
    return line.strip(), "", ""
