"""`mainstem replay plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from mainstem.cli.decoded import RevealOption
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item
from mainstem.cli.replay.asked import (
    DEFAULT_RATE,
    AllOption,
    EventTimeOption,
    FromOption,
    IntoOption,
    KeyOption,
    RateOption,
    ToOption,
    WhereOption,
    make_plan,
    read_asked,
)
from mainstem.cli.replay.shown import described


@reports_errors
def plan(  # noqa: PLR0913 - these are the command's options
    sink: Annotated[str, typer.Argument(help="integration.sink")],
    *,
    from_: FromOption = None,
    to: ToOption = None,
    all_: AllOption = False,
    event_time: EventTimeOption = False,
    key: KeyOption = None,
    where: WhereOption = None,
    into: IntoOption = None,
    reveal: RevealOption = False,
    rate: RateOption = DEFAULT_RATE,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """What a replay would deliver, and what that does to the target. The plan is kept and can be run by its hash."""
    asked = read_asked(
        from_, to, all_=all_, event_time=event_time, key=key, where=where, into=into, reveal=reveal, rate=rate
    )
    with open_services(project) as services:
        job = make_plan(services, sink, asked)
        show_item(described(job.plan), output)
        say(f"nothing was changed; run it with: mainstem replay run --plan {job.hash} --execute")
