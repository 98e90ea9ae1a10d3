"""What the commands are asked to replay, and where to: their options, and what these mean together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mainstem.app.replay import sight_of
from mainstem.app.services import Services
from mainstem.cli.opened import find_sink, part_of
from mainstem.cli.when import parse_place, parse_time
from mainstem.event import Partition
from mainstem.project.discover import build_sink
from mainstem.recover import replay as replaying
from mainstem.recover.replay import JOBS, Choice, Extent, IntoFile, Job

DEFAULT_RATE = 5000.0
"""Records a second: a share that leaves a target room for its live load."""
SUFFIX = ".ndjson"

FromOption = Annotated[
    list[str] | None,
    typer.Option("--from", help="A time (RFC 3339 or -2h), or topic:partition:offset, repeatable. Inclusive."),
]
ToOption = Annotated[list[str] | None, typer.Option("--to", help="As --from; exclusive. Without it: up to now.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything that the topics hold.")]
EventTimeOption = Annotated[
    bool, typer.Option("--event-time", help="--from and --to are times of the events, not of their publishing.")
]
KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="Only records of this key (text, or 0x and hex). Repeatable.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only records for which `FIELD OP VALUE` holds: a dotted field, one of = != < <= > >= in, and JSON or "
        "bare text. Repeatable: all must hold.",
    ),
]
IntoOption = Annotated[
    Path | None, typer.Option("--into", help="Into this .ndjson file instead of the sink's target.", dir_okay=False)
]
RateOption = Annotated[float, typer.Option("--rate", min=0, help="At most so many records a second; 0: no limit.")]


@dataclass(frozen=True)
class Asked:
    """What is to be replayed, as far as the command line says."""

    extent: Extent
    choice: Choice
    into: IntoFile | None
    records_s: float | None


def read_asked(  # noqa: PLR0913 - these are the commands' options
    from_: list[str] | None,
    to: list[str] | None,
    *,
    all_: bool,
    event_time: bool,
    key: list[str] | None,
    where: list[str] | None,
    into: Path | None,
    reveal: bool,
    rate: float,
) -> Asked:
    """The options together. Raises typer.BadParameter."""
    return Asked(
        extent=read_extent(from_, to, everything=all_, by_event_time=event_time),
        choice=Choice(tuple(key or ()), tuple(where or ())),
        into=_file(into, reveal=reveal),
        records_s=rate or None,
    )


def read_extent(from_: list[str] | None, to: list[str] | None, *, everything: bool, by_event_time: bool) -> Extent:
    """What --from, --to, --all and --event-time mean together. Raises typer.BadParameter."""
    since, first = _bound(from_ or [], "--from")
    until, last = _bound(to or [], "--to")
    if everything == bool(from_ or to):
        raise typer.BadParameter("say what to replay: --from and --to, or --all")
    if (since or until) and (first or last):
        raise typer.BadParameter("give times or offsets, not both")
    if by_event_time and (since or until) is None:
        raise typer.BadParameter("--event-time needs a time in --from or --to")
    if since and until and since >= until:
        raise typer.BadParameter("--from is not before --to")
    return Extent(since, until, first, last, by_event_time)


def make_plan(services: Services, part: str, asked: Asked) -> Job:
    """Plans it for the sink that is called that, and keeps the plan. Raises Misconfigured, Unreachable."""
    spec = find_sink(services.project, part)
    if asked.into is not None:
        effect = replaying.file_effect(reveal=asked.into.reveal)
    else:
        connector = build_sink(services.project, spec)
        effect = replaying.effect(connector.guarantee, replaying.manner_of(connector))
    request = replaying.Request(
        sink=part_of(spec),
        dlq=spec.dead_letters,
        topics=spec.topics,
        extent=asked.extent,
        effect=effect,
        records_s=asked.records_s,
        choice=asked.choice,
        into=asked.into,
    )
    job = replaying.planned(replaying.plan(services.config, request, sight_of(services)))
    asyncio.run(JOBS.keep(services.config, job))
    return job


def _file(into: Path | None, *, reveal: bool) -> IntoFile | None:
    if into is None:
        if reveal:
            raise typer.BadParameter("--reveal is about a file: give --into")
        return None
    if into.suffix != SUFFIX:
        raise typer.BadParameter(f"--into takes a file that ends in {SUFFIX}")
    path = into.absolute()
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    if path.exists():
        raise typer.BadParameter(f"{path} is there already")
    return IntoFile(str(path), reveal)


def _bound(texts: list[str], option: str) -> tuple[Any, dict[Partition, int]]:
    places = [parse_place(text) for text in texts]
    offsets = {Partition(place.topic, place.partition): place.offset for place in places if place is not None}
    if texts and not offsets:
        if len(texts) > 1:
            raise typer.BadParameter(f"{option} takes one time")
        return parse_time(texts[0]), {}
    if None in places:
        raise typer.BadParameter(f"{option}: give times or offsets, not both")
    return None, offsets
