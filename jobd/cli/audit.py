"""jobctl audit: who did what, and whether the record of it is whole."""

from __future__ import annotations

from typing import Any, Final

import click

from jobd.cli.failure import CONFLICT, Failure
from jobd.cli.output import Column, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["audit"]

_COLUMNS: Final[tuple[Column, ...]] = (
    ("N", lambda item: str(item["n"])),
    ("TIME", lambda item: item["time"]),
    ("ACTOR", lambda item: item["name"] or item["actor"] or "-"),
    ("REMOTE", lambda item: item["remote"]),
    ("OPERATION", lambda item: item["operation"]),
    ("SUBJECT", lambda item: item["subject"]),
    ("OUTCOME", lambda item: _outcome(item)),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("TOKEN", lambda item: item["actor"] or "-"),
    ("DOOR", lambda item: item["door"]),
    ("REQUEST", lambda item: item["request"]),
    ("ARGS", lambda item: item["args"][:12]),
)


@click.group(invoke_without_command=True)
@click.option("--actor", metavar="TOKEN", help="Only of this token: its id or its name.")
@click.option("--operation", help="Only this operation: put_secret.")
@click.option("--denied", is_flag=True, help="Only refusals.")
@click.option("--since", metavar="TIME|DURATION", help="Only from then on, or so long ago: 2h.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def audit(session: Session, /, denied: bool, form: str, **filters: Any) -> None:
    """Show who did or was refused what, the newest first."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    decision = "denied" if denied else None
    body = session.client.get("/audit", decision=decision, **filters)
    columns = [*_COLUMNS, *_WIDE] if form == "wide" else _COLUMNS
    print_items(form, body, kind="audit", columns=columns, key="n")


@audit.command()
@click.option("--head", metavar="N:DIGEST", help="A head that an earlier check showed.")
@output_option
@pass_session
def verify(session: Session, head: str | None, form: str) -> None:
    """Check that nobody changed or dropped a record.

    Keep the head that it shows in another place: with it, a later check also finds whether the end
    was cut off or written anew.
    """
    body = session.client.get("/audit/verify", head=head)
    print_one(form, body, name=f"audit/{body['head']}")
    if not body["whole"]:
        raise Failure(
            f"the audit trail was tampered with: {body['problem']}",
            remedy="Compare it with a backup; `audit/` in the data directory has the files.",
            exit_code=CONFLICT,
        )


def _outcome(item: dict[str, Any]) -> str:
    times = f" x{item['count']}" if item["count"] > 1 else ""
    denied = "denied: " if item["decision"] == "denied" else ""
    return f"{denied}{item['outcome']}{times}"
