"""`mainstem dlq list`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mainstem.cli.dlq.options import (
    OPEN,
    STATES,
    CausesOption,
    CodesOption,
    DlqArgument,
    KeysOption,
    SinceOption,
    UntilOption,
    read_selection,
)
from mainstem.cli.dlq.rows import GROUP_COLUMNS, LETTER_COLUMNS, group_row, letter_row
from mainstem.cli.exit import reports_errors
from mainstem.cli.letterboxes import open_boxes
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_rows
from mainstem.recover.causes import group_by_cause

StatesOption = Annotated[
    list[str] | None, typer.Option("--state", help=f"{', '.join(STATES)}; what is open if left out. Repeatable.")
]


@reports_errors
def list_(  # noqa: PLR0913 - these are the command's options
    dlq: DlqArgument = "",
    *,
    cause: CausesOption = None,
    code: CodesOption = None,
    key: KeysOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    state: StatesOption = None,
    letters: Annotated[bool, typer.Option("--letters", help="Single letters instead of causes.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="In every state.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Dead letters that are open, grouped by cause."""
    unknown = set(state or ()) - set(STATES)
    if unknown:
        raise typer.BadParameter(f"--state {', '.join(sorted(unknown))}: there are {', '.join(STATES)}")
    states = set(state or (STATES if all_ else OPEN))
    wanted = read_selection(cause, code, key, since=since, until=until, everything=True)
    rows: list[dict[str, Any]] = []
    with open_services(project) as services:
        boxes = open_boxes(services, dlq)
    for box in boxes:
        found = [letter for letter in box.letters if letter.state in states and wanted.takes(letter)]
        if letters:
            rows += [letter_row(box.dlq, letter) for letter in found]
        else:
            rows += [group_row(box.dlq, group) for group in group_by_cause(found)]
    show_rows(rows, LETTER_COLUMNS if letters else GROUP_COLUMNS, output)
    if not rows:
        say("no dead letters")
