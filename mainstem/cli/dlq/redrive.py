"""`mainstem dlq redrive`."""

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
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption
from mainstem.recover import redrive as redriving


@reports_errors
def redrive(  # noqa: PLR0913 - these are the command's options
    dlq: DlqArgument = "",
    *,
    cause: CausesOption = None,
    code: CodesOption = None,
    key: KeysOption = None,
    id_: IdsOption = None,
    since: SinceOption = "",
    until: UntilOption = "",
    all_: AllOption = False,
    force: Annotated[bool, typer.Option("--force", help="Letters that came back five times too.")] = False,
    canary: Annotated[
        int, typer.Option("--canary", min=0, max=1000, help="So many letters first; the others if none fails again.")
    ] = 0,
    execute: ExecuteOption = False,
    plan: PlanOption = "",
    resume_: ResumeOption = "",
    rate: RateOption = None,
    wait: WaitOption = WAIT_S,
    as_: AsOption = "",
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Gives dead letters to their sink again: all that wait of the keys that are selected, in order. Ctrl-C pauses."""
    selection = read_selection(cause, code, key, id_, since=since, until=until, everything=all_)
    if selection.names_nothing != bool(resume_):
        raise typer.BadParameter(
            "say which letters: --cause, --code, --key, --id, --since, --until or --all; or a redrive to --resume"
        )
    going = Going(execute, wait, output, plan)
    with open_services(project) as services:
        if resume_:
            resume(services, resume_, going)
            return
        agreed = make_plan(services, dlq, lambda box: redriving.plan(box, selection, force=force))
        terms = redriving.Terms(who=as_ or account_name(), records_s=rate, canary=canary)
        offer(services, agreed, terms, going)
