"""The prompt itself: reads, runs, shows; at a terminal, or a whole program from a pipe.

1. `await` works at the top level: what a line awaits runs on a loop of the prompt's own, and what
   it leaves behind there goes on whenever a later line awaits.
2. An error of JobD is its cause and its remedy, any other its traceback. From a pipe it ends the
   program with exit code 1.
3. Ctrl-C ends what a line does and comes back to the prompt; Ctrl-D leaves.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import code
import inspect
import os
import sys
import types
from pathlib import Path
from typing import Any, Final

from actors.errors import JobdError
from jobd import __version__
from jobd.client import AsyncClient, Client
from jobd.repl.namespace import display, namespace

__all__ = ["run"]

_PROGRAM: Final = "<stdin>"
_HISTORY_LINES: Final = 5_000


def run(address: str | None, token: str | None) -> int:
    """Run the prompt, or what comes through a pipe; return the exit code.

    Raises ActorUnavailable when no node answers, Unauthenticated when it refuses the token.
    """
    with Client(address, token=token) as client, asyncio.Runner() as runner:
        status = client.status()
        aclient = AsyncClient(client.address, token=client.token)
        names = namespace(client, aclient)
        try:
            if not sys.stdin.isatty():
                return _run_program(names, runner)
            free = f"{status.slots_free} of {status.slots_total} slots free"
            banner = (
                f"JobD {__version__} at {client.address}: node {status.name}, {free}.\n"
                "help() says what is at hand, Ctrl-D leaves."
            )
            _prepare_terminal(names)
            _Prompt(names, runner).interact(banner, exitmsg="")
            return 0
        finally:
            runner.run(aclient.close())


class _Prompt(code.InteractiveConsole):
    def __init__(self, names: dict[str, Any], runner: asyncio.Runner) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._runner = runner

    def runcode(self, compiled: types.CodeType) -> None:
        """Run a line."""
        try:
            _execute(compiled, self.locals, self._runner)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")
        except JobdError as error:
            self.write(_explained(error))
        except BaseException:
            self.showtraceback()


def _run_program(names: dict[str, Any], runner: asyncio.Runner) -> int:
    try:
        program = compile(sys.stdin.read(), _PROGRAM, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        _execute(program, names, runner)
    except JobdError as error:
        sys.stderr.write(_explained(error))
        return 1
    except Exception as error:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_code.co_filename != _PROGRAM:
            traceback = traceback.tb_next  # the program's own frames, none of ours
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        return 1
    return 0


def _execute(compiled: types.CodeType, names: dict[str, Any], runner: asyncio.Runner) -> None:
    value = types.FunctionType(compiled, names)()
    if inspect.iscoroutine(value):
        runner.run(value)


def _explained(error: JobdError) -> str:
    remedy = f"  {error.remedy}\n" if error.remedy else ""
    return f"{type(error).__name__}: {error.message}\n{remedy}"


def _prepare_terminal(names: dict[str, Any]) -> None:
    """Show records readably; complete and remember lines where there is readline."""
    sys.displayhook = display
    try:
        import readline

        from jobd.repl.completer import DELIMITERS, Completer
    except ImportError:
        return
    readline.set_completer(Completer(names).complete)
    readline.set_completer_delims(DELIMITERS)
    readline.parse_and_bind("tab: complete")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    history = Path(state) / "jobd" / "repl_history"
    try:
        history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        history.touch(mode=0o600)
        readline.read_history_file(history)
    except OSError:
        return
    readline.set_history_length(_HISTORY_LINES)
    atexit.register(readline.write_history_file, history)
