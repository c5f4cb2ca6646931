"""The reference pages of the doors: `http.md` from the route table, `jobctl.md` from click."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click
import msgspec

from jobd.api.problem import STATUS
from jobd.api.query import ReadQuery
from jobd.api.route import Route
from jobd.cli import failure
from jobd.cli.__main__ import cli
from jobd.http.app import route_table
from jobd.http.openapi import openapi

__all__ = ["http_page", "jobctl_page", "openapi_page"]

HTTP = """# HTTP API

The node's door for programs is JSON under `/api/v1`, on 127.0.0.1:8080 unless `--http` says
otherwise. `GET /api/v1/openapi.json` has every type; this page has the rules and the routes.

## Rules

- **Credential.** `Authorization: Bearer jobd_<id>_<secret>`. Without a valid one 401, without the
  route's scope 403. `read` sees, `run` submits, cancels and retries jobs, `write` changes anything
  else, `admin` holds all and mints tokens. The first start of a node writes one with every scope
  to `<data>/admin.token`.
- **Hosts and origins.** `Host` must be 127.0.0.1, localhost, [::1] or one of `http.allowed_hosts`,
  on every request; a foreign `Origin` and cross-site fetches are refused: 403. There is no CORS.
- **Bodies** are JSON with its `Content-Type`, at most 1 MiB; a job spec may also be
  `application/yaml`, a value of `/kv` any bytes.
- **Errors** are RFC 9457 problems, `application/problem+json`: `type` is `urn:jobd:problem:<code>`
  (the table below), `detail` the cause, `remedy` what to do, `instance` the request's id, and
  `errors` lists everything wrong with a spec: `{path, line, column, message}`.
- **Lists** are `{items, next_cursor}`: pass `cursor` back with the same filters for the next page,
  until it is null. `limit` is 1 to 500. Repeating a filter means or, different filters mean and;
  `label=team=a&label=team=b&label=zone=x` is (team a or b) and zone x. `since` and `until` take a
  moment (RFC 3339) or how long ago (`10m`).
- **Revisions.** Every answer has `X-JobD-Revision`. Single objects have their revision as a strong
  `ETag` (with `-gzip` or `-deflate` where the answer is compressed): a read with `If-None-Match`
  answers 304 while the object is still there. `If-Match` (a revision, or `*`: any) and
  `If-None-Match: *` (none yet) make a change conditional; 412 says that it did not hold, with the
  present `revision`. The revision of a fan-out is the highest of its tasks and its own.
- **Consistency.** Reads take `min_revision`: wait until the node has applied it, for at most 10 s,
  then 503. `consistency=local` (the default) is what is applied at this node; `session` is what you
  saw or wrote before, wherever that was, so `min_revision` must be there with the
  `X-JobD-Revision` that you saw last; `linearizable` has everything that anybody was told of before
  the read began, at the price of a round trip to the others. On a node alone a write is applied
  before it is answered.
- **Any node** of a cluster answers every request. Records are everywhere; a job's log and its
  artifacts are at the node that ran it, and are fetched from there. While that one can't be reached
  the answer is 503 `node_unreachable`, which names it. Events that this node no longer has come
  from one that has them, else from [the history](../operations/history.md). `/actors` is of the
  node that answers, or of another with `node=ID`.
- **Cut off.** A node that hears no majority of the voters answers reads from what it has, and says
  so: `X-JobD-Stale` is for how many milliseconds. Once that is the failure timeout (5 s), writes
  and linearizable reads are refused with 503 `no_quorum` and `accepted: false`: nothing was
  submitted. A write that was submitted before is answered 503 `outcome_unknown`. `/readyz` is 503.
- **Writing once.** Every write takes an `Idempotency-Key`, and a repeat with it is safe at any
  node. Submissions, retries, batches, custom events and new tokens keep a record under it for 24
  h: the first is 202 or 201, a repeat is 200 with `Idempotent-Replayed: true` and the first
  answer, another body under the same key is 422, and while the first has no answer yet 409
  (`in_flight`) with `Retry-After`. A batch stands or falls by its first job's record. A replayed
  token comes without its text, which nobody has any more: revoke it by its id and mint another.
  Other writes (put, delete, cancel, revoke) need no record, since a repeat leaves things as the
  first did, though it may say 404 or 412 where the first said 204.
- **Keys.** Without the header the node mints the key and answers with it. A job's is its id, as
  good as the job lasts; others hold for a minute. When the outcome is not known the answer is 503
  with `accepted: unknown`, `idempotency_key` and `job_id`: send it again with that key. A client
  may mint such a key itself: a ULID in lower case of the present time.
- **Rates.** A token has `REQUESTS_PER_S` ([limits](limits.md)), and so has an address for what
  needs no token; `RateLimit` and `RateLimit-Policy` say what is left, and above it the answer is
  429 with `Retry-After`. Wrong credentials of an address are answered 401 at `REFUSED_PER_S`, then
  429; valid ones pass all the same. Slow heads and bodies of requests, and who takes nothing of an
  answer, have their times there too.
- **Compression.** JSON of 1 KiB or more is gzip or deflate for who asks (`Accept-Encoding`), but
  streams, files and what is confidential. Bodies of requests are taken as they are only: 415.
- **Waiting.** `GET /jobs/{id}?wait=30s&until=terminal` answers when the job is as far, or with its
  present state when the time (at most 60s) is over.
- **Streams** are server-sent events. `Last-Event-ID` (or `after=` for events) resumes behind any
  id; what is no longer kept is told as an event `gap`, never left out silently. An event
  `heartbeat`, without an id, shows after 15 s of silence that the stream lives. One
  `/events/stream` takes any number of `types=`, which may be globs. 5,000 streams may be open.
  One ends once its token is revoked or expires.
- **Job logs.** A record is whole lines with their newlines, or a piece of a longer line
  (`partial`). It has `text`, or `base64` where the bytes are not UTF-8, so the records of a stream
  joined are what the job wrote to it. `/logs/stream` tells attempt after attempt, of a fan-out task
  after task, and closes with an event `end` that has the job as it ended. An event `unreachable`
  says once of an attempt that its `node` can't be reached, and from which record on (`from`): one
  that is over is passed by, one that runs is told once it can be.

## Problems

| code | status | title |
|---|---|---|
"""

JOBCTL = """# jobctl

The command line. It speaks to a node's [HTTP API](http.md) and finds the node by itself. The
first of these that says where wins; of those that stand together, the first:

1. `--url`, `--data`, `--context`
2. `JOBD_URL`, `JOBD_DATA`, `JOBD_CONTEXT`
3. the current context of `~/.config/jobd/config.toml`, unless it is `local`
4. what runs on this machine: a node in `./jobd-data`; one of this user, by
   `$XDG_RUNTIME_DIR/jobd/node.json`; 127.0.0.1:8080

The token is `--token`, else `JOBD_TOKEN`, else that of the place. `--url` and `JOBD_URL` take
several URLs by commas, a context has as many as are added: nodes of one cluster, of which the next
is asked when one can't be reached or can't answer now. Who knows one only, and submits or follows,
asks it for the others first, and goes on there with the same idempotency key.

Data goes to stdout, all else to stderr. `-o table|wide|json|yaml|name` chooses its form; JSON is
the API's own body. There is colour on a terminal only, and none with `NO_COLOR`. A job is named by
its id, a unique prefix of it, or its name: then the newest of that name is meant.

## Exit codes

| code | means |
|---|---|
| 0 | done |
"""
OWN = (
    "| the job's own | under `run`, `job wait`, `--wait` and `--follow`: 124 out of time,"
    " 128+n ended by signal n, 70 lost, 130 cancelled |\n"
)
CODES = {
    "USAGE": "the command line or a value in it is wrong",
    "NOT_FOUND": "nothing has that id or name",
    "UNREACHABLE": "no node reachable",
    "SERVER_ERROR": "the node failed or refuses for now",
    "WAITED_OUT": "timed out waiting",
    "CONFLICT": "the state moved on",
    "CREDENTIAL": "no valid token, or one without the scope",
    "INVALID_SPEC": "the spec is wrong; every problem is listed with its place",
}
WIDTH = 96


def http_page() -> str:
    """Return the body of docs/reference/http.md."""
    page = HTTP
    for code, (status, title) in sorted(STATUS.items(), key=lambda item: (item[1], item[0])):
        page += f"| `{code}` | {status} | {title} |\n"
    page += "\n## Routes\n\nReads also take `min_revision` and `consistency`.\n\n"
    page += "| route | scope | does | parameters | body | answer |\n|---|---|---|---|---|---|\n"
    for path, route in route_table():
        shown = re.sub(r"{(\w+):[^}]*}", r"{\1}", path)
        cells = (
            f"`{route.method} {shown}`",
            route.scope,
            route.summary,
            _parameters(route),
            _type(route.body),
            f"{route.status} {_type(route.returns)}".strip(),
        )
        page += f"| {' | '.join(cells)} |\n"
    return page


def openapi_page() -> str:
    """Return tests/golden/http/openapi.json: a change of the API is seen where it is reviewed."""
    document = openapi(route_table(), "golden")
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def jobctl_page() -> str:
    """Return the body of docs/reference/jobctl.md."""
    page = JOBCTL + OWN
    for name, means in CODES.items():
        page += f"| {getattr(failure, name)} | {means} |\n"
    page += "\n## Commands\n"
    for path, command in _commands(cli, ()):
        context = click.Context(
            command, info_name=" ".join(("jobctl", *path)), terminal_width=WIDTH
        )
        page += f"\n### jobctl {' '.join(path)}\n\n```text\n{command.get_help(context)}\n```\n"
    return page


def _parameters(route: Route) -> str:
    everywhere = {field.name for field in msgspec.structs.fields(ReadQuery)}
    fields = msgspec.structs.fields(route.query)
    return " ".join(f"`{f.encode_name}`" for f in fields if f.name not in everywhere)


def _type(type_: object) -> str:
    if type_ is None:
        return ""
    if type_ is bytes:
        return "bytes"
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return f"`{type_.__name__}`"
    return "JSON"


def _commands(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command
