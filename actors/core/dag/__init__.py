"""Pipelines as pure decisions: (view, ids, time) -> one conditional transaction, or None.

`graph` says what each step waits for, `advance` what follows from what has ended, `trigger` and
`rerun` begin a run, `stop` asks for its end, `gate` answers for one of its steps. The rules stand
in each file; `docs/internals/pipelines.md` has them together, with what the model checker proves.
"""

from actors.core.dag.advance import advance
from actors.core.dag.definition import Plan, collect, define, plan_of, refer, unreferred
from actors.core.dag.due import run_due_at, step_due_at
from actors.core.dag.evict import RunRetention, evict_runs
from actors.core.dag.gate import answer_gate
from actors.core.dag.graph import Graph, Node, graph_of
from actors.core.dag.limit import line_of
from actors.core.dag.rerun import rerun
from actors.core.dag.spans import run_span
from actors.core.dag.standing import Standing, standing_of
from actors.core.dag.states import RUN, STEP
from actors.core.dag.stop import stop
from actors.core.dag.trigger import NotBegun, inputs_of, takes_input, trigger

__all__ = [
    "RUN",
    "STEP",
    "Graph",
    "Node",
    "NotBegun",
    "Plan",
    "RunRetention",
    "Standing",
    "advance",
    "answer_gate",
    "collect",
    "define",
    "evict_runs",
    "graph_of",
    "inputs_of",
    "line_of",
    "plan_of",
    "refer",
    "rerun",
    "run_due_at",
    "run_span",
    "standing_of",
    "step_due_at",
    "stop",
    "takes_input",
    "trigger",
    "unreferred",
]
