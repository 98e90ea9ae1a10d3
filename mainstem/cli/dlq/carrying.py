"""Plans a redrive or a drop for a command, and carries it out: previews, runs the job, waits for what becomes of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from mainstem.app.services import Services
from mainstem.cli.dlq.rows import LETTER_COLUMNS, job_row, letter_rows
from mainstem.cli.exit import PROBLEMS
from mainstem.cli.opened import find_sink
from mainstem.cli.output import Format, progress, say, show_item, show_rows
from mainstem.errors import PLAN_CHANGED, Misconfigured, Refused
from mainstem.recover import redrive as redriving
from mainstem.recover.letters import LetterBox, read_boxes
from mainstem.recover.redrive import JOBS, Deed, Job, RedrivePlan, Settled
from mainstem.recover.replay import JobState
from mainstem.recover.wishes import Wish, Wishes

DOES = {Deed.REDRIVE: "redriving", Deed.DROP: "dropping"}


@dataclass(frozen=True, slots=True)
class Agreed:
    """A plan, and the letters as they were when it was made."""

    plan: RedrivePlan
    box: LetterBox


@dataclass(frozen=True, slots=True)
class Going:
    """How a command goes about it."""

    execute: bool
    wait_s: float
    output: Format
    plan: str = ""


def make_plan(
    services: Services, dlq: str, plan: Callable[[LetterBox], RedrivePlan], known: Sequence[LetterBox] = ()
) -> Agreed:
    """The one plan that is meant; boxes that are `known` are not read again.

    Raises Misconfigured when it takes letters of several sinks, or there is no such sink.
    """
    sinks = [find_sink(services.project, dlq)] if dlq else services.project.sinks
    if not sinks:
        raise Misconfigured("the project has no sink", fix="redrive reaches the sinks of a project only")
    topics = {sink.dead_letters for sink in sinks}
    boxes = [box for box in known if box.dlq in topics] or read_boxes(services.config, sorted(topics))
    found = [Agreed(plan(box), box) for box in boxes]
    touched = [agreed for agreed in found if agreed.plan.letters or agreed.plan.left_out]
    if len(touched) > 1:
        named = ", ".join(agreed.plan.dlq for agreed in touched)
        raise Misconfigured(f"letters of several sinks are selected: {named}", fix="name one of them")
    return touched[0] if touched else max(found, key=lambda agreed: len(agreed.plan.not_waiting))


def offer(services: Services, agreed: Agreed, terms: redriving.Terms, going: Going) -> None:
    """Shows the plan or, with `--execute`, carries it out. Raises Refused (MS-402) when it is not the one meant."""
    plan = agreed.plan
    if going.plan and going.plan != plan.hash:
        raise redriving.plan_changed(going.plan, plan)
    _tell_plan(plan)
    if not going.execute:
        show_rows(letter_rows(plan.dlq, plan.letters), LETTER_COLUMNS, going.output)
        say(f"nothing was changed; plan {plan.hash}: do it with --execute")
        return
    job = redriving.planned(agreed.plan, agreed.box, terms)
    if plan.letters:
        _check_alone(services, job)
        asyncio.run(JOBS.keep(services.config, job))
        carry_out(services, job, going)
    else:
        show_item({"dlq": plan.dlq, _done(plan.deed): 0, "keys": 0}, going.output)


def resume(services: Services, job_id: str, going: Going) -> None:
    """Goes on with a job; without `--execute` shows how far it is."""
    job = JOBS.find(services.config, job_id)
    if not going.execute:
        show_item(job_row(job), going.output)
        say(f"nothing was changed; go on with: mainstem dlq {job.deed} --resume {job.id} --execute")
        return
    carry_out(services, job, going)


def carry_out(services: Services, job: Job, going: Going) -> None:
    """Runs the job and waits for what becomes of its letters. Ends with 1 where not all are settled as was meant."""
    say(f"{job.deed} {job.id}")
    interruptions: list[int] = []
    try:
        ended = asyncio.run(_run(services, job, going, interruptions))
    except asyncio.CancelledError:
        _tell_how_to_go_on(job)
        raise typer.Exit(128 + interruptions[0]) from None
    except (Exception, KeyboardInterrupt):
        _tell_how_to_go_on(job)
        raise
    settled = _await(services, ended, going.wait_s) if going.wait_s else None
    _tell_end(ended.job, settled)
    row = job_row(ended.job, settled)
    show_item({**row, _done(ended.job.deed): ended.job.sent}, going.output)
    if interruptions and not ended.job.state.is_final:
        raise typer.Exit(128 + interruptions[0])
    if ended.job.state is not JobState.DONE or (settled and (settled.failed_again or settled.open)):
        raise typer.Exit(PROBLEMS)


async def _run(services: Services, job: Job, going: Going, interruptions: list[int]) -> redriving.Ended:
    topic = find_sink(services.project, job.dlq).redrive
    with progress(DOES[job.deed], job.letters) as bar:
        given = redriving.Run(
            topic,
            canary_wait_s=going.wait_s or redriving.CANARY_WAIT_S,
            on_progress=lambda now: bar.update(bar.task_ids[0], completed=now.sent),
        )
        async with Wishes(services.config) as wishes:
            _pause_on_signals(job, wishes, interruptions)
            return await redriving.run(services.config, job, wishes, given)


def _await(services: Services, ended: redriving.Ended, wait_s: float) -> Settled:
    with progress("waiting for the sink", ended.job.sent) as bar:
        return redriving.await_outcome(
            services.config,
            ended.job,
            ended.letters,
            timeout_s=wait_s,
            on_progress=lambda settled: bar.update(bar.task_ids[0], completed=settled),
        )


def _check_alone(services: Services, job: Job) -> None:
    """Two redrives of the same letters do no harm, but each letter that fails would fail twice."""
    for other in JOBS.read(services.config).values():
        if other.dlq == job.dlq and other.deed is job.deed is Deed.REDRIVE and other.state is JobState.RUNNING:
            raise Refused(
                f"redrive {other.id} of {job.dlq} runs already, or was killed",
                code=PLAN_CHANGED,
                fix=f"wait for its end, or `mainstem dlq cancel {other.id}`, or go on with it: "
                f"mainstem dlq redrive --resume {other.id} --execute",
            )


def _pause_on_signals(job: Job, wishes: Wishes, interruptions: list[int]) -> None:
    """The first Ctrl-C or SIGTERM pauses after the transaction at hand; the second breaks it off."""
    loop, running = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt(number: int) -> None:
        interruptions.append(number)
        if len(interruptions) == 1:
            say("pausing after the transaction at hand; once more to break it off")
            wishes.note(job.id, Wish.PAUSE)
        elif running is not None:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)


def _tell_plan(plan: RedrivePlan) -> None:
    together = f", {plan.companions} of them because they wait on the same keys" if plan.companions else ""
    say(f"{plan.dlq}: {len(plan.letters)} records of {plan.keys} keys to {plan.deed}{together}")
    if plan.not_waiting:
        say(f"{len(plan.not_waiting)} selected letters do not wait any more (or no sink keeps account of them)")
    for reason in dict.fromkeys(left.reason for left in plan.left_out):
        count = sum(left.reason == reason for left in plan.left_out)
        say(f"left out: {count} records: {reason}")


def _tell_end(job: Job, settled: Settled | None) -> None:
    if settled is not None:
        done = f"{settled.dropped} dropped" if job.deed is Deed.DROP else f"{settled.delivered} delivered"
        failed = "" if job.deed is Deed.DROP else f", {len(settled.failed_again)} failed again"
        say(done + failed + (f", {settled.open} not settled yet" if settled.open else ""))
    if job.error:
        say(job.error)
    if job.state is not JobState.DONE:
        say(f"{job.deed} {job.id} is {job.state}: {job.sent} of {job.letters} letters were given to the sink")
        if not job.state.is_final:
            _tell_how_to_go_on(job)


def _tell_how_to_go_on(job: Job) -> None:
    say(f"go on with: mainstem dlq {job.deed} --resume {job.id} --execute")


def _done(deed: Deed) -> str:
    return {Deed.REDRIVE: "redriven", Deed.DROP: "given_up"}[deed]
