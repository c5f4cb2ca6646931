"""jobctl api: any route, as it is."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import click

from jobd.cli.failure import USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import write_bytes
from jobd.cli.session import Session, pass_session

__all__ = ["api"]


@click.command()
@click.argument("method")
@click.argument("path", metavar="PATH[?QUERY]")
@click.option("-d", "--data", metavar="BODY|@FILE|@-", help="The body.")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A further header."
)
@pass_session
def api(
    session: Session, method: str, path: str, data: str | None, headers: tuple[str, ...]
) -> None:
    """Send any request: `jobctl api GET /jobs?state=failed`. Prints the body."""
    sent = {"Content-Type": "application/json"} if data is not None else {}
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon:
            raise Failure(f"-H takes NAME: VALUE, not {text!r}", exit_code=USAGE)
        sent[name.strip().title()] = value.strip()
    parts = urlsplit(path)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    answer = session.client.request(
        method.upper(),
        parts.path,
        query=query,
        body=None if data is None else read_argument(data),
        headers=sent,
    )
    write_bytes(answer.body)
