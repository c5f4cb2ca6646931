"""The job spec: from text or a mapping to a JobSpec, its schema, and the output it asks for.

text ── document ── json_text | yaml_text ──► plain values and their places
values ── job ── form (the keys) ── kinds (what a value may be) ──► JobSpec, or every problem
"""

from actors.core.spec.job import job_from_mapping, parse_job
from actors.core.spec.output import read_output
from actors.core.spec.schema import job_schema

__all__ = ["job_from_mapping", "job_schema", "parse_job", "read_output"]
