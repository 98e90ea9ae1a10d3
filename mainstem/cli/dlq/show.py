"""`mainstem dlq show`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.decoded import REVEALED, Decoded, RevealOption
from mainstem.cli.dlq.rows import letter_row
from mainstem.cli.exit import reports_errors
from mainstem.cli.letterboxes import find_letters
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_item, show_rows
from mainstem.codec import headers as h
from mainstem.recover import redrive as redriving
from mainstem.recover.history import Attempt, History, read_history
from mainstem.recover.letterbox import Letter

LetterArgument = Annotated[
    str, typer.Argument(help="An event id, or topic:partition:offset of the letter or its origin.")
]
InOption = Annotated[str, typer.Option("--dlq", help="Where to look: a dead-letter topic or integration.sink.")]


@reports_errors
def show(
    letter: LetterArgument,
    dlq: InOption = "",
    reveal: RevealOption = False,
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """One dead letter: the original record, why it is one, its versions, and what became of each redrive."""
    with open_services(project) as services:
        found = find_letters(services, letter, dlq)
        if reveal:
            say(REVEALED)
        decoded = Decoded(services, reveal=reveal)
        described = [_described(services, box.dlq, one, decoded) for box, one in found]
    if len(described) == 1:
        show_item(described[0], output)
    else:
        show_rows(described, (), Format.YAML if output is Format.TABLE else output)


def _described(services: Services, dlq: str, letter: Letter, decoded: Decoded) -> dict[str, Any]:
    redrive = next((sink.redrive for sink in services.project.sinks if sink.dead_letters == dlq), None)
    history = read_history(services.config, dlq, redrive, letter.identity)
    copy = next(copy for copy in history.copies if copy.place == letter.place)
    fault = letter.fault
    return {
        **{name: value for name, value in letter_row(dlq, letter).items() if name != "attempts"},
        "exception": fault.exception,
        "part": fault.part,
        "attempts": letter.attempts,
        **_said(history),
        "headers": dict(redriving.original_headers(copy)),
        **decoded.show(letter.origin.topic, copy.value, h.as_dict(copy.headers)),
        **_versions(history, decoded),
        "stacktrace": fault.stacktrace,
    }


def _said(history: History) -> dict[str, Any]:
    """What the sink says of it beyond its state."""
    status = history.status
    if status is None:
        return {}
    said = {"state_since": status.at, "dropped_by": status.by, "because": status.because}
    return {name: value for name, value in said.items() if value is not None}


def _versions(history: History, decoded: Decoded) -> dict[str, Any]:
    """Where there are several: of each who made it and what it holds; and every redrive."""
    found: dict[str, Any] = {}
    if len(history.revisions) > 1:
        found["versions"] = [_version(copy, decoded) for copy in history.revisions]
    if history.attempts:
        found["redriven"] = [_attempt(attempt) for attempt in history.attempts]
    return found


def _version(copy: Letter, decoded: Decoded) -> dict[str, Any]:
    headers = h.as_dict(copy.headers)
    return {
        "revision": copy.revision,
        "written_at": copy.written_at,
        "edited_by": h.text(headers, h.EDITED_BY),
        "place": copy.place,
        **decoded.show(copy.origin.topic, copy.value, headers),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    dropped = {"dropped_by": attempt.dropped_by} if attempt.dropped_by else {"revision": attempt.revision}
    return {"redrive_id": attempt.redrive_id, "at": attempt.at, **dropped, "outcome": attempt.outcome}
