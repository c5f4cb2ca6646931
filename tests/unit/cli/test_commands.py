"""The API one-to-one: what the live document offers, a command makes."""

from __future__ import annotations

import json

import click
import pytest

from jobd.cli.__main__ import cli
from tests.unit.cli.conftest import Jobctl

# Every operation of openapi.json and the command that makes it.
COMMANDS = {
    "add_member": "cluster add",
    "backfill_schedule": "schedule backfill",
    "cancel_job": "job cancel",
    "cordon_node": "node cordon",
    "create_join_token": "cluster token create",
    "create_token": "token create",
    "answer_gate": "runs approve",
    "cancel_run": "runs cancel",
    "delete_client_key": "cluster key delete",
    "delete_hook": "hook delete",
    "delete_job": "job delete",
    "delete_pipeline": "pipeline delete",
    "delete_schedule": "schedule delete",
    "delete_secret": "secret delete",
    "delete_trigger": "trigger delete",
    "delete_value": "kv delete",
    "drain_node": "node drain",
    "draw_run": "runs graph",
    "emit_event": "event emit",
    "explain_job": "job why",
    "fire_schedule": "schedule fire",
    "get_actor": "actor get",
    "get_artifact": "job artifacts",
    "get_cluster": "cluster",
    "get_hook": "hook get",
    "get_job": "job get",
    "get_node": "node get",
    "get_output": "job output",
    "get_pipeline": "pipeline get",
    "get_run": "runs get",
    "get_schedule": "schedule get",
    "get_status": "status",
    "get_trigger": "trigger get",
    "get_value": "kv get",
    "list_actors": "actor list",
    "list_artifacts": "job artifacts",
    "list_attempts": "job attempts",
    "list_audit": "audit",
    "list_client_keys": "cluster key list",
    "list_deliveries": "hook deliveries",
    "list_events": "event list",
    "list_hooks": "hook list",
    "list_join_tokens": "cluster token list",
    "list_job_events": "job events",
    "list_jobs": "job list",
    "list_nodes": "node list",
    "list_pipeline_runs": "pipeline runs",
    "list_pipelines": "pipeline list",
    "list_run_events": "runs events",
    "list_runs": "runs list",
    "list_schedules": "schedule list",
    "list_secrets": "secret list",
    "list_tokens": "token list",
    "list_upcoming": "schedule upcoming",
    "list_triggers": "trigger list",
    "list_values": "kv list",
    "pause_schedule": "schedule pause",
    "plan_job": "plan",
    "preview_schedule": "schedule preview",
    "put_client_key": "cluster key put",
    "put_pipeline": "pipeline apply",
    "put_schedule": "schedule put",
    "put_hook": "hook put",
    "put_secret": "secret put",
    "put_trigger": "trigger put",
    "put_value": "kv put",
    "read_logs": "job logs",
    "redeliver": "hook redeliver",
    "remove_member": "cluster remove",
    "rerun": "runs rerun",
    "resume_schedule": "schedule resume",
    "retry_job": "job retry",
    "revoke_join_token": "cluster token revoke",
    "run_query": "sql",
    "revoke_token": "token revoke",
    "stream_events": "event tail",
    "stream_logs": "job logs",
    "stage_backup": "backup create",
    "submit_batch": "job batch",
    "submit_job": "job create",
    "trigger_pipeline": "pipeline trigger",
    "uncordon_node": "node uncordon",
    "validate_pipeline": "plan",
    "verify_audit": "audit verify",
}
# Operations without a command of their own; `jobctl api METHOD PATH` makes any.
EXEMPT = {
    "get_liveness": "a probe for orchestrators and balancers; `status` says more",
    "get_openapi": "a document for programs",
    "get_readiness": "a probe for orchestrators and balancers; `status` says more",
    "receive_webhook": "for senders outside, who prove themselves by their own schemes",
}
# Commands that make no operation, or several of other commands.
LOCAL = {
    "api": "any operation",
    "apply": "submit_job or put_pipeline for each document",
    "backup restore": "an empty data directory",
    "backup verify": "files only",
    "cluster members": "get_cluster, its members alone",
    "completion": "prints a script",
    "context add": "a file of the user",
    "context delete": "a file of the user",
    "context list": "a file of the user",
    "context show": "a file of the user",
    "context use": "a file of the user",
    **dict.fromkeys(
        ["dev cut", "dev freeze", "dev heal", "dev kill", "dev restart", "dev status", "dev thaw"],
        "the parent process of `jobd dev`",
    ),
    "diff": "plan_job beside get_job, validate_pipeline beside get_pipeline",
    "import": "files only",
    "job wait": "get_job with wait=",
    "run": "submit_job, then stream_logs",
    "store export": "the data directory of a stopped node",
    "store import": "the data directory of a stopped node",
    "store migrate": "the data directory of a stopped node",
    "top": "get_status, list_nodes, list_jobs and stream_events on one page",
    "validate": "files only",
}


def leaves(group: click.Group, path: str = "") -> set[str]:
    found: set[str] = set()
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= leaves(command, f"{path}{name} ")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found.add(path + name)
    return found


def test_every_operation_has_a_command_or_a_reason(jobctl: Jobctl) -> None:
    document = json.loads(jobctl("api", "GET", "/openapi.json").out)
    offered = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert offered == COMMANDS.keys() | EXEMPT.keys()
    assert not COMMANDS.keys() & EXEMPT.keys()


def test_every_command_makes_an_operation_or_has_a_reason() -> None:
    assert leaves(cli) == set(COMMANDS.values()) | LOCAL.keys()


@pytest.mark.parametrize("path", sorted(leaves(cli)))
def test_every_command_says_what_it_does(path: str) -> None:
    command: click.Command = cli
    for word in path.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            says = (click.Choice, click.IntRange)  # their values are in the help
            assert parameter.help or isinstance(parameter.type, says), parameter.opts
