"""`jobs` at the prompt: the newest jobs, and one of them to work with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from actors.errors import InvalidInput, NotFound
from actors.model.ids import is_id
from jobd.api.job_logs import LogLine
from jobd.api.job_views import AttemptView, JobDetail, JobView
from jobd.client import Client
from jobd.client.job_operations import Spec
from jobd.repl.table import Table, fields

__all__ = ["JobHandle", "Jobs"]

_SHOWN: Final = 20


class JobHandle:
    """One job. What it shows is read when it is shown."""

    def __init__(self, client: Client, job_id: str) -> None:
        self.id = job_id
        self._client = client

    def __repr__(self) -> str:
        return fields(self.get())

    def get(self) -> JobDetail:
        """Return all that is known of it."""
        return self._client.get_job(self)

    def wait(self, timeout_s: float | None = None) -> JobDetail:
        """Wait for its end."""
        return self._client.wait(self, timeout_s=timeout_s)

    def why(self) -> dict[str, Any]:
        """Say why it is where it is."""
        return self._client.explain(self)

    def logs(self, *, follow: bool = False, **options: Any) -> None:
        """Print its log; with `follow` until it is over, or Ctrl-C."""
        for line in self._client.logs(self, follow=follow, **options):
            if isinstance(line, LogLine):
                sys.stdout.write(line.data.decode(errors="replace"))
            else:
                sys.stdout.write(f"... lost: {line.what}\n")
            sys.stdout.flush()

    def attempts(self) -> Table[AttemptView]:
        """Return its attempts."""
        return Table(self._client.attempts(self))

    def output(self) -> Any:
        """Return its output."""
        return self._client.output(self)

    def cancel(self, reason: str = "") -> JobDetail:
        """Cancel it."""
        return self._client.cancel(self, reason)

    def retry(self) -> JobHandle:
        """Run it again, as a new job."""
        return JobHandle(self._client, self._client.retry(self).id)

    def delete(self) -> None:
        """Delete it."""
        self._client.delete(self)


class Jobs:
    """The newest jobs; `jobs(state="failed")` filters, `jobs["name"]` is one of them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __repr__(self) -> str:
        return repr(self())

    def __call__(self, limit: int = _SHOWN, **filters: Any) -> Table[JobView]:
        """Return the newest jobs that the filters hold for: state, type, label, name, q."""
        return Table(self._client.list_jobs(limit=limit, **filters))

    def __iter__(self) -> Iterator[JobView]:
        return self._client.list_jobs()

    def __getitem__(self, reference: str) -> JobHandle:
        """Return the job of an id, a unique prefix of one, or a name: then the newest."""
        if is_id(reference):
            return JobHandle(self._client, self._client.get_job(reference).id)
        for job in self._client.list_jobs(limit=1, name=reference):
            return JobHandle(self._client, job.id)
        begun = list(self._client.list_jobs(limit=2, id_prefix=reference))
        if len(begun) > 1:
            raise InvalidInput(f"more than one job id begins with {reference!r}")
        if not begun:
            raise NotFound(f"no job has the id or the name {reference!r}")
        return JobHandle(self._client, begun[0].id)

    def submit(self, spec: Spec) -> JobHandle:
        """Submit a job: a dict, YAML, or a path."""
        return JobHandle(self._client, self._client.submit(spec).id)

    def keys_like(self, prefix: str) -> list[str]:
        """Return what `jobs[...]` may go on with: the newest ids and names."""
        jobs = list(islice(self._client.list_jobs(), 100))
        known = dict.fromkeys([job.name for job in jobs] + [job.id for job in jobs])
        return [each for each in known if each.startswith(prefix)]
