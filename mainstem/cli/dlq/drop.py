"""`mainstem dlq drop`."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.cli.account import account_name
from mainstem.cli.dlq.carrying import Going, make_plan, offer, resume
from mainstem.cli.dlq.options import (
    WAIT_S,
    AllOption,
    AsOption,
    CausesOption,
    CodesOption,
    DlqArgument,
    ExecuteOption,
    IdsOption,
    KeysOption,
    PlanOption,
    RateOption,
    ResumeOption,
    SinceOption,
    UntilOption,
    WaitOption,
    read_selection,
)
from mainstem.cli.exit import reports_errors
from mainstem.cli.letterboxes import open_boxes
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption
from mainstem.errors import Refused
from mainstem.recover import redrive as redriving
from mainstem.recover.letters import UNTRACKED, LetterBox
from mainstem.recover.selection import Selection


@reports_errors
def drop(  # noqa: PLR0913 - these are the command's options
    dlq: DlqArgument = "",
    *,
    cause: CausesOption = None,
    code: CodesOption = None,
    key: KeysOption = None,
    id_: IdsOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    all_: AllOption = False,
    because: Annotated[str, typer.Option("--because", help="Why; kept beside the letter.")] = "",
    execute: ExecuteOption = False,
    plan: PlanOption = "",
    resume_: ResumeOption = "",
    rate: RateOption = None,
    wait: WaitOption = WAIT_S,
    as_: AsOption = "",
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Gives up dead letters: nothing of them is ever written, and their keys wait for them no longer."""
    selection = read_selection(cause, code, key, id_, since=since, until=until, everything=all_)
    if selection.names_nothing != bool(resume_):
        raise typer.BadParameter(
            "say which letters: --cause, --code, --key, --id, --since, --until or --all; or a drop to --resume"
        )
    if execute and not resume_ and not because:
        raise typer.BadParameter("say why, with --because: whoever looks for the record later will ask")
    going = Going(execute, wait, output, plan)
    with open_services(project) as services:
        if resume_:
            resume(services, resume_, going)
            return
        boxes = open_boxes(services, dlq)
        _refuse_untracked(boxes, selection)
        agreed = make_plan(services, dlq, lambda box: redriving.plan_drop(box, selection), boxes)
        terms = redriving.Terms(who=as_ or account_name(), because=because, records_s=rate)
        offer(services, agreed, terms, going)


def _refuse_untracked(boxes: list[LetterBox], selection: Selection) -> None:
    """Raises Refused where the selection holds a letter that no sink waits for, and none that one does."""
    selected = [(box.dlq, letter) for box in boxes for letter in box.letters if selection.takes(letter)]
    untracked = [(dlq, letter) for dlq, letter in selected if letter.state == UNTRACKED]
    if untracked and len(untracked) == len(selected):
        dlq, letter = untracked[0]
        raise Refused(
            f"{letter.event_id} in {dlq} is no sink's letter ({letter.fault.part or 'somebody else'} wrote it):"
            " nothing waits for it, so there is nothing to drop",
            fix="leave it where it is; it holds nothing up",
        )
