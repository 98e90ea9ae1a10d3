"""`mainstem dlq`: what could not be delivered, why, and what is done about it."""

from __future__ import annotations

import typer

from mainstem.cli.dlq.drop import drop
from mainstem.cli.dlq.edit import edit
from mainstem.cli.dlq.list import list_
from mainstem.cli.dlq.redrive import redrive
from mainstem.cli.dlq.show import show
from mainstem.cli.dlq.status import status
from mainstem.cli.dlq.wish import cancel, pause

__all__ = ["app"]

app = typer.Typer(
    help="Dead letters: list them by cause, look at one, edit it, give them to their sink again, or drop them.",
    no_args_is_help=True,
)
app.command("list")(list_)
for command in (show, edit, redrive, drop, status, pause, cancel):
    app.command()(command)
