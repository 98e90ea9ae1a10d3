"""How a command ends: its exit code, and an error as `error MS-nnn: cause` and `fix: ...` on stderr."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import typer

from mainstem.errors import Fenced, MainstemError, Misconfigured, Refused, Retryable

DONE: Final = 0
PROBLEMS: Final = 1
"""The command did its work, and what it found is not good."""
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130

P = ParamSpec("P")
T = TypeVar("T")


def exit_code(error: MainstemError) -> int:
    """The code for an error that ends a command."""
    match error:
        case Refused() | Fenced():
            return REFUSED
        case Misconfigured():
            return USAGE
        case Retryable():
            return UNREACHABLE
        case _:
            return PROBLEMS


def fail(error: MainstemError) -> typer.Exit:
    """Prints the error; raise what it returns."""
    typer.echo(f"error {error.code.number}: {error.cause}", err=True)
    typer.echo(f"fix: {error.fix}", err=True)
    return typer.Exit(exit_code(error))


def reports_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Ends the command with the right code whatever it raises; a bug keeps its traceback."""

    @wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except MainstemError as error:
            raise fail(error) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return reporting
