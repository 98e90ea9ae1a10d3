"""`mainstem dlq`: what could not be delivered, why, and once more."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from secrets import token_hex
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.decoded import REVEALED, Decoded, RevealOption
from mainstem.cli.exit import PROBLEMS, reports_errors
from mainstem.cli.letterboxes import open_boxes
from mainstem.cli.opened import HERE, ProjectOption, find_sink, open_services
from mainstem.cli.output import Format, FormatOption, progress, say, show_item, show_rows
from mainstem.cli.when import parse_time
from mainstem.codec import headers as h
from mainstem.errors import Misconfigured
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING
from mainstem.recover import redrive as redriving
from mainstem.recover.causes import group_by_cause
from mainstem.recover.letters import UNTRACKED, Letter, read_boxes
from mainstem.recover.selection import Selection

app = typer.Typer(
    help="Dead letters: list them by cause, look at one, give them to their sink again.", no_args_is_help=True
)

DlqArgument = Annotated[
    str, typer.Argument(help="A dead-letter topic, or integration.sink; without it all of the project.")
]
CausesOption = Annotated[list[str] | None, typer.Option("--cause", help="A cause, as `dlq list` shows it. Repeatable.")]
CodesOption = Annotated[list[str] | None, typer.Option("--code", help="An error code: MS-105. Repeatable.")]
OPEN = (WAITING, UNTRACKED)
GROUP_COLUMNS = ("dlq", "cause", "code", "step", "letters", "keys", "first_failed_at", "last_failed_at", "message")
LETTER_COLUMNS = ("event_id", "state", "code", "cause", "key", "origin", "failed_at", "attempts", "redrives", "message")


@app.command("list")
@reports_errors
def list_(  # noqa: PLR0913 - these are the command's options
    dlq: DlqArgument = "",
    *,
    cause: CausesOption = None,
    code: CodesOption = None,
    letters: Annotated[bool, typer.Option("--letters", help="Single letters instead of causes.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Delivered and dropped ones too.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Dead letters that are open, grouped by cause."""
    states = (*OPEN, DELIVERED, DROPPED) if all_ else OPEN
    wanted = Selection(frozenset(cause or ()), frozenset(code or ()), everything=True)
    rows: list[dict[str, Any]] = []
    with open_services(project) as services:
        boxes = open_boxes(services, dlq)
    for box in boxes:
        found = [letter for letter in box.letters if letter.state in states and wanted.takes(letter)]
        if letters:
            rows += [_letter_row(box.dlq, letter) for letter in found]
        else:
            rows += [_group_row(box.dlq, asdict(group)) for group in group_by_cause(found)]
    show_rows(rows, LETTER_COLUMNS if letters else GROUP_COLUMNS, output)
    if not rows:
        say("no dead letters")


@app.command()
@reports_errors
def show(
    letter: Annotated[str, typer.Argument(help="An event id, or topic:partition:offset of the letter or its origin.")],
    dlq: Annotated[str, typer.Option("--dlq", help="Where to look: a dead-letter topic or integration.sink.")] = "",
    reveal: RevealOption = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """One dead letter: the original record, and why it is one."""
    with open_services(project) as services:
        found = [
            (box.dlq, candidate)
            for box in open_boxes(services, dlq)
            for candidate in box.letters
            if letter in {candidate.event_id, str(candidate.place), str(candidate.origin)}
        ]
        if not found:
            raise Misconfigured(f"there is no dead letter {letter}", fix="see `mainstem dlq list --letters --all`")
        if reveal:
            say(REVEALED)
        decoded = Decoded(services, reveal=reveal)
        described = [_described(name, one, decoded) for name, one in found]
    if len(described) == 1:
        show_item(described[0], output)
    else:
        show_rows(described, (), Format.YAML if output is Format.TABLE else output)


@app.command()
@reports_errors
def redrive(  # noqa: PLR0913 - these are the command's options
    dlq: DlqArgument = "",
    *,
    cause: CausesOption = None,
    code: CodesOption = None,
    key: Annotated[list[str] | None, typer.Option("--key", help="A record key. Repeatable.")] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="An event id. Repeatable.")] = None,
    since: Annotated[str, typer.Option("--since", help="Failed first since then: RFC 3339 or -2h.")] = "",
    until: Annotated[str, typer.Option("--until", help="Failed first before then: RFC 3339 or -2h.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Letters that came back five times too.")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it the plan is shown.")] = False,
    plan: Annotated[str, typer.Option("--plan", help="Do it only if this is still the plan.")] = "",
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, help="At most so many records a second.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for what becomes of them.")] = 30.0,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Gives dead letters to their sink again: all that wait of the keys that are selected, in order."""
    selection = Selection(
        causes=frozenset(cause or ()),
        codes=frozenset(code or ()),
        keys=frozenset(text.encode() for text in key or ()),
        event_ids=frozenset(id_ or ()),
        since=parse_time(since) if since else None,
        until=parse_time(until) if until else None,
        everything=all_,
    )
    if selection.names_nothing:
        raise typer.BadParameter("say which letters: --cause, --code, --key, --id, --since, --until or --all")
    with open_services(project) as services:
        agreed = _plan(services, dlq, selection, force=force)
        if plan and plan != agreed.hash:
            raise redriving.plan_changed(plan, agreed)
        _tell_plan(agreed)
        if not execute:
            show_rows([_letter_row(agreed.dlq, letter) for letter in agreed.letters], LETTER_COLUMNS, output)
            say(f"nothing was changed; plan {agreed.hash}: do it with --execute")
        elif agreed.letters:
            _execute(services, agreed, rate, wait, output)
        else:
            show_item({"dlq": agreed.dlq, "redriven": 0, "keys": 0}, output)


def _plan(services: Services, dlq: str, selection: Selection, *, force: bool) -> redriving.RedrivePlan:
    """The one plan that the selection makes. Raises Misconfigured when it takes letters of several sinks."""
    sinks = [find_sink(services.project, dlq)] if dlq else services.project.sinks
    if not sinks:
        raise Misconfigured("the project has no sink", fix="redrive reaches the sinks of a project only")
    boxes = read_boxes(services.config, [sink.dead_letters for sink in sinks])
    plans = [redriving.plan(box, selection, force=force) for box in boxes]
    touched = [plan for plan in plans if plan.letters or plan.left_out]
    if len(touched) > 1:
        named = ", ".join(plan.dlq for plan in touched)
        raise Misconfigured(f"letters of several sinks are selected: {named}", fix="name one of them")
    if touched:
        return touched[0]
    return max(plans, key=lambda plan: len(plan.not_waiting))


def _tell_plan(plan: redriving.RedrivePlan) -> None:
    together = f", {plan.companions} of them because they wait on the same keys" if plan.companions else ""
    say(f"{plan.dlq}: {len(plan.letters)} records of {plan.keys} keys to redrive{together}")
    if plan.not_waiting:
        say(f"{len(plan.not_waiting)} selected letters do not wait any more (or no sink keeps account of them)")
    for reason in dict.fromkeys(left.reason for left in plan.left_out):
        count = sum(left.reason == reason for left in plan.left_out)
        say(f"left out: {count} records: {reason}")


def _execute(services: Services, plan: redriving.RedrivePlan, rate: float | None, wait: float, output: Format) -> None:
    redrive_id = token_hex(4)
    say(f"redrive {redrive_id}")
    topic = find_sink(services.project, plan.dlq).redrive
    with progress("redriving", len(plan.letters)) as bar:
        redriven = asyncio.run(
            redriving.run(
                services.config,
                plan,
                redrive_id=redrive_id,
                topic=topic,
                records_s=rate,
                on_progress=lambda records: bar.advance(bar.task_ids[0], records),
            )
        )
    result: dict[str, Any] = {
        "redrive_id": redrive_id,
        "dlq": plan.dlq,
        "redriven": len(plan.letters),
        "keys": plan.keys,
    }
    settled = _await(services, plan.dlq, redriven, wait) if wait else None
    if settled is not None:
        counts = (len(settled.delivered), len(settled.failed_again), len(settled.open))
        result |= dict(zip(("delivered", "failed_again", "not_settled_yet"), counts, strict=True))
        say(
            f"{counts[0]} delivered, {counts[1]} failed again" + (f", {counts[2]} not settled yet" if counts[2] else "")
        )
    show_item(result, output)
    if settled is not None and (settled.failed_again or settled.open):
        raise typer.Exit(PROBLEMS)


def _await(services: Services, dlq: str, redriven: redriving.Redriven, wait: float) -> redriving.Settled:
    with progress("waiting for the sink", len(redriven.letters)) as bar:
        return redriving.await_outcome(
            services.config,
            dlq,
            redriven,
            timeout_s=wait,
            on_progress=lambda letters: bar.advance(bar.task_ids[0], letters),
        )


def _group_row(dlq: str, group: dict[str, Any]) -> dict[str, Any]:
    return {"dlq": dlq, **group, "message": group.pop("sample")}


def _letter_row(dlq: str, letter: Letter) -> dict[str, Any]:
    return {
        "event_id": letter.event_id,
        "dlq": dlq,
        "place": letter.place,
        "origin": letter.origin,
        "state": letter.state,
        "code": letter.fault.code,
        "cause": letter.fault.cause,
        "step": letter.fault.step,
        "key": letter.key,
        "failed_at": letter.failed_at,
        "attempts": letter.fault.attempts,
        "redrives": letter.redrive_count,
        "message": letter.fault.message,
    }


def _described(dlq: str, letter: Letter, decoded: Decoded) -> dict[str, Any]:
    fault = letter.fault
    return {
        **{name: value for name, value in _letter_row(dlq, letter).items() if name != "attempts"},
        "exception": fault.exception,
        "part": fault.part,
        "attempts": fault.attempts,
        "headers": dict(redriving.original_headers(letter)),
        **decoded.show(letter.origin.topic, letter.value, h.as_dict(letter.headers)),
        "stacktrace": fault.stacktrace,
    }
