"""The options that say which letters are meant, and what they mean together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from mainstem.cli.when import parse_time
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING
from mainstem.recover.letterbox import UNTRACKED
from mainstem.recover.selection import Selection

DlqArgument = Annotated[
    str, typer.Argument(help="A dead-letter topic, or integration.sink; without it all of the project.")
]
CausesOption = Annotated[list[str] | None, typer.Option("--cause", help="A cause, as `dlq list` shows it. Repeatable.")]
CodesOption = Annotated[list[str] | None, typer.Option("--code", help="An error code: MS-105. Repeatable.")]
KeysOption = Annotated[list[str] | None, typer.Option("--key", help="A record key, or 0x and hex. Repeatable.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", help="An event id. Repeatable.")]
SinceOption = Annotated[str, typer.Option("--since", help="Failed first since then: RFC 3339 or -2h.")]
UntilOption = Annotated[str, typer.Option("--until", help="Failed first before then: RFC 3339 or -2h.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything that waits.")]
ExecuteOption = Annotated[bool, typer.Option("--execute", help="Do it; without it the plan is shown.")]
PlanOption = Annotated[str, typer.Option("--plan", help="Do it only if this is still the plan.")]
RateOption = Annotated[float | None, typer.Option("--rate", min=0.1, help="At most so many records a second.")]
ResumeOption = Annotated[str, typer.Option("--resume", help="Go on with this one, by its id.")]
AsOption = Annotated[str, typer.Option("--as", help="Your name; without it that of your account.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for what becomes of them.")]

OPEN = frozenset({WAITING, UNTRACKED})
STATES = (WAITING, UNTRACKED, DELIVERED, DROPPED)
WAIT_S = 30.0


def read_selection(  # noqa: PLR0913 - one for each option
    cause: Sequence[str] | None,
    code: Sequence[str] | None,
    key: Sequence[str] | None,
    id_: Sequence[str] | None = None,
    *,
    since: str,
    until: str,
    everything: bool,
) -> Selection:
    """What these options mean. Raises typer.BadParameter."""
    return Selection(
        causes=frozenset(cause or ()),
        codes=frozenset(code or ()),
        keys=frozenset(map(_key, key or ())),
        event_ids=frozenset(id_ or ()),
        since=parse_time(since) if since else None,
        until=parse_time(until) if until else None,
        everything=everything,
    )


def _key(text: str) -> bytes:
    """A key as `dlq list` shows it: text, or hex where it is none."""
    if not text.startswith("0x"):
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return text.encode()
