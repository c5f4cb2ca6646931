"""The job spec as a JSON Schema 2020-12, for editors, clients and docs.

It says all that one key can say; what needs several keys at once is said by `parse_job` only.
"""

from __future__ import annotations

from typing import Any

from actors.core.spec.form import COMMON, OWN, REQUIRED
from actors.core.spec.kinds import properties

__all__ = ["job_schema"]


def job_schema() -> dict[str, Any]:
    """Return the schema of what a user writes; a null is as good as a missing key there."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "JobD job spec",
        "type": "object",
        "required": list(REQUIRED),
        "properties": properties(COMMON),
        "oneOf": [
            {
                "title": f"{type_} job",
                "properties": {"type": {"const": type_}, **properties(own)},
            }
            for type_, own in OWN.items()
        ],
        "unevaluatedProperties": False,
    }
