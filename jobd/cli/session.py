"""What the commands share: the client of the node that was found, and how jobs are named."""

from __future__ import annotations

import os
from functools import cached_property

import click

from actors.model.ids import is_id
from jobd.cli.client import Client
from jobd.cli.discovery import Given, discover
from jobd.cli.failure import NOT_FOUND, USAGE, Failure

__all__ = ["Session", "pass_session"]


class Session:
    """One run of jobctl. The node is looked for when a command first needs it."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.data = given.data

    @cached_property
    def client(self) -> Client:
        """The node's API."""
        return Client(lambda: discover(self.given, os.environ))

    def job_id(self, reference: str) -> str:
        """Return the id that an id, a unique id prefix or a name (the newest job's) stands for."""
        if is_id(reference):
            return reference
        if not reference:  # an unset variable of a script; as a filter it would be any job
            raise Failure("the job's id or name is empty", exit_code=USAGE)
        named = self.client.get("/jobs", name=reference, limit=1)["items"]
        if named:
            return str(named[0]["id"])
        begun = self.client.get("/jobs", id_prefix=reference, limit=2)["items"]
        if len(begun) > 1:
            raise Failure(
                f"more than one job id begins with {reference!r}",
                remedy="Give more of the id.",
                exit_code=USAGE,
            )
        if not begun:
            raise Failure(
                f"no job has the id or the name {reference!r}",
                remedy=self._remedy(reference),
                exit_code=NOT_FOUND,
            )
        return str(begun[0]["id"])

    def _remedy(self, reference: str) -> str:
        """What to do about a job that isn't there: a schedule's may not have come yet."""
        upcoming = self.client.get("/schedules", prefix=reference, limit=1)["items"]
        if upcoming and upcoming[0]["name"] == reference:
            return f"`jobctl schedule get {reference}` says why its schedule has made none."
        return "`jobctl job list` shows what there is."


pass_session = click.make_pass_decorator(Session)
