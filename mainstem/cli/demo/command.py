"""`mainstem demo`: from nothing to a running backbone with real data in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mainstem import devstack
from mainstem.app.backbone import Backbone
from mainstem.cli.demo.books import Expected, expected
from mainstem.cli.demo.company import DATA, INTEGRATION, Company, check_is_demo, found_company, start_clean
from mainstem.cli.demo.live import LiveView
from mainstem.cli.demo.week import Result, Week
from mainstem.cli.exit import DONE, PROBLEMS, reports_errors
from mainstem.cli.hosting import hosted, run_loop, signalled
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item
from mainstem.cli.progress import TerminalProgress
from mainstem.observe.logs import LEVEL, configure

JOURNEY = Path("data/journey")
DataOption = Annotated[Path, typer.Option("--data", help="A folder with transactions.csv and products.csv.")]
LIVE_SECONDS = 60
"""About how long the week takes when somebody watches."""


@reports_errors
def demo(
    once: Annotated[bool, typer.Option("--once", help="The week at full speed, check the books, exit.")] = False,
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, help="Baskets a second.")] = None,
    data: Annotated[Path, typer.Option("--data", help="A folder with transactions.csv and products.csv.")] = Path(
        "data/journey"
    ),
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Runs the demo company's week: payments become journal entries, bad ones dead letters, one cause is mended."""
    check_is_demo(project)
    folder = data if data.is_absolute() or data.exists() else project / data
    os.environ[DATA] = str(folder.resolve())
    os.environ[LEVEL] = "error"  # for the streams' processes too
    configure(json=False)
    wanted = expected(folder)
    with TerminalProgress() as progress, devstack.shared(project, progress) as running:
        with progress.step("Founding the demo company: accounting database, topics, schemas"):
            company = found_company(project, running.stack, folder)
            with open_services(project) as services:
                start_clean(services)
        code = _run(project, company, wanted, rate, once=once, output=output)
    raise typer.Exit(code)


def _run(project: Path, company: Company, wanted: Expected, rate: float | None, *, once: bool, output: Format) -> int:
    with open_services(project) as services:
        integration = services.project.integration(INTEGRATION)
        backbone = Backbone(services, [integration] if integration else [])
        speed = rate or (None if once else wanted.baskets / LIVE_SECONDS)
        console = Console(stderr=True)
        week = Week(backbone, company, wanted, partial(console.print, markup=False, highlight=False, soft_wrap=True))
        return run_loop(_host(backbone, week, LiveView(backbone, console), speed, once=once, output=output))


async def _host(
    backbone: Backbone, week: Week, view: LiveView, rate: float | None, *, once: bool, output: Format
) -> int:
    stop = asyncio.Event()
    waiting = asyncio.create_task(signalled(stop))
    async with hosted(backbone) as gateway:
        working = asyncio.create_task(_watched(view, week.run(gateway.url, rate)))
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            return await waiting
        result = await working
        _tell(result, output)
        if not once and sys.stdin.isatty():
            say(f"\nThe backbone goes on running at {gateway.url}. Try in another terminal:")
            _invite(result)
            say("Ctrl-C stops everything that this command has started.")
            return await waiting
    if not once:
        say("\nThe data is kept. To look at it, start the stack and the backbone, and try:")
        say(f"  {_program()} dev --detach && {_program()} run       # `{_program()} stop` stops the stack")
        _invite(result)
    stop.set()
    await waiting
    return PROBLEMS if result.problems else DONE


async def _watched(view: LiveView, work: Coroutine[Any, Any, Result]) -> Result:
    """Draws what flows while it works, where somebody watches."""
    if not view.is_watched:
        return await work
    drawing = asyncio.create_task(view.run())
    try:
        return await work
    finally:
        drawing.cancel()
        with suppress(asyncio.CancelledError):
            await drawing


def _tell(result: Result, output: Format) -> None:
    show_item(asdict(result), output)
    for problem in result.problems:
        say(f"wrong: {problem}")
    if not result.problems:
        say("the books are exact: every basket is booked once or waits as a dead letter")


def _invite(result: Result) -> None:
    dlq, mainstem = f"{INTEGRATION}.journal", _program()
    say(f"""\
  {mainstem} record trace {result.sample}   # where one payment went
  {mainstem} topic tail payments.payment_settled.v1 -n 3
  {mainstem} dlq list {dlq}                     # {result.dead_letters} letters that can never be booked
  {mainstem} dlq list {dlq} --letters
  {mainstem} dlq redrive {dlq} --all            # a preview; --execute does it
  {mainstem} replay plan {dlq} --from -1h
  {mainstem} group describe {dlq}
  {mainstem} doctor""")


def _program() -> str:
    """How to call this command from here: its folder may not be on the search path."""
    if shutil.which("mainstem"):
        return "mainstem"
    return os.path.relpath(sys.argv[0])
