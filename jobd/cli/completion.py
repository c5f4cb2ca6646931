"""jobctl completion: what teaches a shell to complete jobctl's words and live ids."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["COMPLETE_VARIABLE", "completion"]

COMPLETE_VARIABLE: Final = "_JOBCTL_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what teaches a shell to complete jobctl.

    \b
    bash   source <(jobctl completion bash)     in ~/.bashrc
    zsh    source <(jobctl completion zsh)      in ~/.zshrc, behind compinit
    fish   jobctl completion fish | source      in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    of_shell = get_completion_class(shell)
    assert of_shell is not None, "SHELLS are those that click knows"
    click.echo(of_shell(ctx.find_root().command, {}, "jobctl", COMPLETE_VARIABLE).source())
