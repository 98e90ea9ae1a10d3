"""`mainstem replay`: a frozen range of a sink's topics once more, into that sink or a file."""

from __future__ import annotations

import typer

from mainstem.cli.replay.plan import plan
from mainstem.cli.replay.run import run
from mainstem.cli.replay.status import status
from mainstem.cli.replay.wish import cancel, pause

__all__ = ["app"]

app = typer.Typer(
    help="Deliver a range of topics again, into one sink or a file: plan first, then run.", no_args_is_help=True
)
for command in (plan, run, status, pause, cancel):
    app.command()(command)
