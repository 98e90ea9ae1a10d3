"""`mainstem topic`: what topics there are, and what is in them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.decoded import REVEALED, Decoded, RevealOption
from mainstem.cli.exit import reports_errors
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item, show_rows
from mainstem.cli.when import parse_place, parse_time
from mainstem.codec.message import Message
from mainstem.errors import MainstemError, Misconfigured, Unreachable
from mainstem.event import Origin, Partition
from mainstem.kafka.reader import Ranges, Reader, reading
from mainstem.project import names

app = typer.Typer(help="Topics: list them, look at their records.", no_args_is_help=True)

LIST_COLUMNS = ("topic", "partitions", "records", "schema_id")
TAIL_COLUMNS = ("place", "time", "key", "data")
LOOK_EVERY_S = 0.5


@app.command("list")
@reports_errors
def list_(
    internal: Annotated[bool, typer.Option("--internal", help="Topics of Kafka and of mainstem itself too.")] = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Topics with their partitions and records, and the registered id of the project's schema.

    Records are counted by offsets: transactions' markers and what compaction has removed are counted too.
    """
    with open_services(project) as services:
        found = {
            name: count
            for name, count in sorted(services.admin.topics().items())
            if internal or not (names.is_internal(name) or name.startswith("__"))
        }
        schema_ids = _schema_ids(services)
        records = _records(services, found)
        rows = [
            {"topic": name, "partitions": count, "records": records[name], "schema_id": schema_ids.get(name)}
            for name, count in found.items()
        ]
        show_rows(rows, LIST_COLUMNS, output)


@app.command()
@reports_errors
def tail(  # noqa: PLR0913 - these are the command's options
    topic: Annotated[str, typer.Argument(help="The topic's name.")],
    *,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many records.")] = 10,
    from_: Annotated[
        str, typer.Option("--from", help="The first ones since a time (RFC 3339 or -2h) or topic:partition:offset.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    reveal: RevealOption = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """The last records of a topic, decoded; or the first ones from somewhere on."""
    start = (parse_place(from_) or parse_time(from_)) if from_ else None
    with open_services(project) as services:
        if reveal:
            say(REVEALED)
        decoded = Decoded(services, reveal=reveal)
        with reading(services.config) as reader:
            ends = {partition: end for partition, (_, end) in reader.whole([topic]).items()}
            found = last(reader, topic, count) if start is None else first(reader, _from(reader, topic, start), count)
            _show([decoded.row(message) for message in found], output)
            if follow:
                for message in _following(reader, topic, ends):
                    _show_one(decoded.row(message), output)


def last(reader: Reader, topic: str, count: int) -> list[Message]:
    """The last records over all partitions, oldest first. Looks further back where transactions' markers take room."""
    bounds = reader.whole([topic])
    back = count
    while True:
        ranges = {partition: (max(low, high - back), high) for partition, (low, high) in bounds.items()}
        found: list[Message] = [message for batch in reader.read(ranges) for message in batch]
        if len(found) >= count or all(start == bounds[p][0] for p, (start, _) in ranges.items()):
            found.sort(key=lambda message: message.timestamp()[1])
            return found[-count:] if count else []
        back *= 4


def first(reader: Reader, ranges: Ranges, count: int) -> list[Message]:
    """The first records of these ranges, in order within each partition."""
    found: list[Message] = []
    batches = reader.read(ranges, batch=max(count, 1))
    while len(found) < count and (batch := next(batches, None)) is not None:
        found += batch
    return found[:count]


def _from(reader: Reader, topic: str, start: Any) -> Ranges:
    bounds = reader.whole([topic])
    if not isinstance(start, Origin):
        starts = reader.since([topic], int(start.timestamp() * 1000))
        return {partition: (starts[partition], high) for partition, (_, high) in bounds.items()}
    partition = Partition(start.topic, start.partition)
    if partition not in bounds:
        raise Misconfigured(f"{topic} has no {start.topic}:{start.partition}", fix="name a partition of that topic")
    low, high = bounds[partition]
    if start.offset < low:
        say(f"offsets before {low} are gone")
    return {partition: (max(low, start.offset), high)}


def _following(reader: Reader, topic: str, position: dict[Partition, int]) -> Iterator[Message]:
    while True:
        ends = {partition: end for partition, (_, end) in reader.whole([topic]).items()}
        for messages in reader.read({p: (position.get(p, 0), end) for p, end in ends.items()}):
            yield from messages
        position = ends
        time.sleep(LOOK_EVERY_S)


def _show(rows: list[dict[str, Any]], output: Format) -> None:
    if output is Format.TABLE:
        rows = [{**row, "data": row.get("error", row.get("data"))} for row in rows]
    show_rows(rows, TAIL_COLUMNS, output)


def _show_one(row: dict[str, Any], output: Format) -> None:
    """A record that has just come: a line of its own, whatever the form."""
    if output is Format.YAML:
        show_item(row, output)
    else:
        show_item(row, Format.NDJSON)


def _records(services: Services, topics: Mapping[str, int]) -> Counter[str]:
    partitions = [Partition(name, number) for name, count in topics.items() for number in range(count)]
    records: Counter[str] = Counter()
    for partition, (low, high) in services.admin.bounds(partitions).items():
        records[partition.topic] += high - low
    return records


def _schema_ids(services: Services) -> dict[str, int]:
    """By topic; a registry that does not answer costs only this column."""
    found: dict[str, int] = {}
    for topic, schema in services.project.schemas.items():
        try:
            found[topic] = services.registry.id_of(schema.subject, schema.definition)
        except Unreachable as error:
            say(f"schema ids are not shown: {error.cause}")
            return found
        except MainstemError:
            continue  # the project's version is not registered: the column stays empty
    return found
