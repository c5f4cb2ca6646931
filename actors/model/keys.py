"""Keys of the replicated store: the first segment is the kind, the rest orders as a person would.

Numbers are zero-padded, so that a prefix scan meets tasks and attempts in their order.
"""

from __future__ import annotations

__all__ = [
    "attempt",
    "attempt_parts",
    "attempts_of",
    "client_key",
    "closed",
    "cluster",
    "definition",
    "definition_chunk",
    "deliveries_of",
    "delivery",
    "delivery_parts",
    "hook",
    "idempotency",
    "job",
    "join_token",
    "kind",
    "kv",
    "last",
    "node",
    "output",
    "outputs_of",
    "permit",
    "permits_of",
    "pipeline",
    "run",
    "run_slot",
    "run_slots_of",
    "schedule",
    "seal_key",
    "seal_key_generation",
    "seal_keys",
    "secret",
    "session",
    "spec",
    "step",
    "step_parts",
    "steps_of",
    "task",
    "tasks_of",
    "template",
    "token",
    "trigger",
    "webhook",
]


def kind(key: str) -> str:
    """Return the first segment of a key."""
    return key.partition("/")[0]


def last(key: str) -> str:
    """Return the last segment of a key."""
    return key.rpartition("/")[2]


def job(id_: str) -> str:
    """The job's own record, written only when the job's own state changes."""
    return f"job/{id_}"


def spec(job_id: str) -> str:
    """The job's spec, written once by the accept transaction."""
    return f"spec/{job_id}"


def template(name: str) -> str:
    """The spec of the jobs that the schedule or trigger of this name starts."""
    return f"template/{name}"


def task(job_id: str, index: int) -> str:
    """One member of an indexed fan-out."""
    return f"task/{job_id}/{index:05d}"


def tasks_of(job_id: str) -> str:
    """The prefix of a job's members."""
    return f"task/{job_id}/"


def output(job_id: str, index: int) -> str:
    """The output of a job (index 0) or of one of its tasks."""
    return f"output/{job_id}/{index:05d}"


def outputs_of(job_id: str) -> str:
    """The prefix of a job's outputs."""
    return f"output/{job_id}/"


def attempt(job_id: str, task_index: int, n: int) -> str:
    """One try; its revision is the fence. A job without fan-out has the task index 0."""
    return f"attempt/{job_id}/{task_index:05d}/{n:04d}"


def attempts_of(job_id: str) -> str:
    """The prefix of a job's open attempts."""
    return f"attempt/{job_id}/"


def attempt_parts(key: str) -> tuple[str, int, int]:
    """Return (job id, task index, attempt number) of an attempt's key."""
    _, job_id, index, n = key.split("/")
    return job_id, int(index), int(n)


def permit(key_hash: str, i: int) -> str:
    """One unit of a concurrency key."""
    return f"permit/{key_hash}/{i:05d}"


def permits_of(key_hash: str) -> str:
    """The prefix of a concurrency key's held permits."""
    return f"permit/{key_hash}/"


def pipeline(name: str) -> str:
    """A pipeline by its name."""
    return f"pipeline/{name}"


def definition(digest: str) -> str:
    """The head of a definition, by the digest of its bytes."""
    return f"definition/{digest}"


def definition_chunk(digest: str, i: int) -> str:
    """A piece of a definition's bytes."""
    return f"definition/{digest}/{i:03d}"


def run(run_id: str) -> str:
    """One run of a pipeline."""
    return f"run/{run_id}"


def step(run_id: str, name: str, index: int | None = None) -> str:
    """A step of a run, or the member of a mapped one."""
    return f"step/{run_id}/{name}" if index is None else f"step/{run_id}/{name}/{index:05d}"


def steps_of(run_id: str) -> str:
    """The prefix of a run's steps."""
    return f"step/{run_id}/"


def step_parts(key: str) -> tuple[str, str, int | None]:
    """Return (run id, step, index of a member or None) of a step's key."""
    _, run_id, name, *index = key.split("/")
    return run_id, name, int(index[0]) if index else None


def run_slot(key_hash: str, i: int) -> str:
    """One of the runs that a concurrency limit lets go."""
    return f"runslot/{key_hash}/{i:05d}"


def run_slots_of(key_hash: str) -> str:
    """The prefix of a limit's runs that go."""
    return f"runslot/{key_hash}/"


def session(node_id: str) -> str:
    """A node's session; its revision is the session's number."""
    return f"session/{node_id}"


def node(node_id: str) -> str:
    """What a node says of itself that must survive (name, labels, cordon)."""
    return f"node/{node_id}"


def cluster(name: str) -> str:
    """What the cluster says of itself: `leader`, `level`."""
    return f"cluster/{name}"


def idempotency(owner: str, key_hash: str) -> str:
    """A client's own idempotency key, by its token's id; a spec's own key has the owner `spec`."""
    return f"idempotency/{owner}/{key_hash}"


def client_key(name: str) -> str:
    """A client that all nodes let in by its key."""
    return f"clientkey/{name}"


def closed(bucket: str) -> str:
    """A bucket of job ids in which nothing is accepted any more."""
    return f"closed/{bucket}"


def token(token_id: str) -> str:
    """An access token, its secret hashed."""
    return f"token/{token_id}"


def join_token(token_id: str) -> str:
    """A one-time token for a node that is to join."""
    return f"jointoken/{token_id}"


def schedule(name: str) -> str:
    """When the job or pipeline of this name starts, and how far that is."""
    return f"schedule/{name}"


def secret(name: str) -> str:
    """A sealed secret."""
    return f"secret/{name}"


def seal_key(generation: int, node_id: str) -> str:
    """The cluster's sealing key of a generation, wrapped for one node."""
    return f"sealkey/{generation:05d}/{node_id}"


def seal_keys() -> str:
    """The prefix of all wraps."""
    return "sealkey/"


def seal_key_generation(key: str) -> int:
    """Return the generation of a wrap's key."""
    return int(key.split("/")[1])


def kv(namespace: str, key: str) -> str:
    """A user's own value."""
    return f"kv/{namespace}/{key}"


def trigger(name: str) -> str:
    """What waits for an event or a webhook."""
    return f"trigger/{name}"


def webhook(path: str) -> str:
    """Whose a path of inbound webhooks is: the name of its trigger."""
    return f"webhook/{path}"


def hook(name: str) -> str:
    """What is done when something happens."""
    return f"hook/{name}"


def delivery(hook_name: str, revision: int, k: int) -> str:
    """One event on its way to a hook's receiver."""
    return f"delivery/{hook_name}/{revision:016d}-{k:05d}"


def deliveries_of(hook_name: str) -> str:
    """The prefix of a hook's deliveries."""
    return f"delivery/{hook_name}/"


def delivery_parts(key: str) -> tuple[str, int, int]:
    """Return (hook, revision, k) of a delivery's key."""
    _, name, place = key.split("/")
    revision, _, k = place.partition("-")
    return name, int(revision), int(k)
