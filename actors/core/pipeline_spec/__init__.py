"""The pipeline spec: from text to a PipelineSpec, its schema, and the types of its edges.

text ── spec.document ──► values ── reader ── form (the keys), spec.job (each step's job), edges
(JSON Schema subsumption) ──► PipelineSpec and warnings, or every problem
"""

from actors.core.pipeline_spec.form import pipeline_schema
from actors.core.pipeline_spec.reader import ReadPipeline, parse_pipeline, pipeline_from_mapping
from actors.core.pipeline_spec.subsumption import subsumes
from actors.core.pipeline_spec.written import written_form

__all__ = [
    "ReadPipeline",
    "parse_pipeline",
    "pipeline_from_mapping",
    "pipeline_schema",
    "subsumes",
    "written_form",
]
