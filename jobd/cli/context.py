"""jobctl context: which cluster the commands go to."""

from __future__ import annotations

import os
from typing import Any, Final

import click

from jobd.cli.complete import CONTEXT
from jobd.cli.config_file import LOCAL, ConfigFile, Context
from jobd.cli.discovery import Given, discover
from jobd.cli.job_spec import read_argument
from jobd.cli.output import Column, note, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["context"]

_COLUMNS: Final[tuple[Column, ...]] = (
    ("CURRENT", lambda item: "*" if item["current"] else ""),
    ("NAME", lambda item: item["name"]),
    ("URLS", lambda item: " ".join(item["urls"])),
    ("TOKEN", lambda item: item["token"]),
)


@click.group()
def context() -> None:
    """Keep places of clusters and choose one."""


@context.command("list")
@output_option
def list_(form: str) -> None:
    """List the contexts; `local` is what is found on this machine."""
    config = ConfigFile.read(os.environ)
    items = [_shown(each, config) for each in (Context(LOCAL, (), None), *config.contexts.values())]
    print_items(form, {"items": items}, kind="context", columns=_COLUMNS, key="name")


@context.command()
@click.argument("name", type=CONTEXT, required=False)
@output_option
@pass_session
def show(session: Session, name: str | None, form: str) -> None:
    """Show a context; without NAME, where commands go now and what says so."""
    if name not in (None, LOCAL):
        config = ConfigFile.read(os.environ)
        print_one(form, _shown(config.context(name or ""), config), name=f"context/{name}")
        return
    given = Given(context=LOCAL) if name else session.given
    found = discover(given, os.environ)
    body = {"source": found.source, "urls": list(found.urls), "token": _masked(found.token)}
    print_one(form, body, name=found.source)


@context.command()
@click.argument("name")
@click.argument("urls", metavar="URL…", nargs=-1, required=True)
@click.option("--token-file", metavar="FILE|-", help="The token; -  reads it from stdin.")
@click.option("--use", "use_it", is_flag=True, help="Go there from now on.")
@pass_session
def add(
    session: Session, name: str, urls: tuple[str, ...], token_file: str | None, use_it: bool
) -> None:
    """Add a context, or replace the one of this name.

    Several URLs are nodes of one cluster: when one can't be reached, the next is asked. The token
    comes from --token-file, else from `jobctl --token` or JOBD_TOKEN.
    """
    token = session.given.token or os.environ.get("JOBD_TOKEN")
    if token_file is not None:
        token = read_argument(f"@{token_file}").decode().strip()
    config = ConfigFile.read(os.environ)
    config.add(Context(name, urls, token))
    if use_it:
        config.current = name
    config.write()
    note(f"context/{name} added{', and in use' if use_it else ''}")


@context.command()
@click.argument("name", type=CONTEXT)
def use(name: str) -> None:
    """Go to this cluster from now on; `local` is what is found on this machine."""
    config = ConfigFile.read(os.environ)
    if name != LOCAL:
        config.context(name)
    config.current = name
    config.write()
    note(f"context/{name} is in use")


@context.command()
@click.argument("name", type=CONTEXT)
def delete(name: str) -> None:
    """Delete a context; when it is in use, `local` is from then on."""
    config = ConfigFile.read(os.environ)
    config.context(name)
    del config.contexts[name]
    if config.current == name:
        config.current = LOCAL
    config.write()
    note(f"context/{name} deleted")


def _shown(each: Context, config: ConfigFile) -> dict[str, Any]:
    return {
        "name": each.name,
        "current": each.name == config.current,
        "urls": list(each.urls),
        "token": _masked(each.token),
    }


def _masked(token: str | None) -> str:
    """A token's id, without its secret."""
    return f"{token.rpartition('_')[0]}_…" if token else ""
