"""Letters, causes and redrives as they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mainstem.recover.causes import CauseGroup
from mainstem.recover.letterbox import Letter
from mainstem.recover.redrive import Job, Settled

GROUP_COLUMNS = ("dlq", "cause", "code", "step", "letters", "keys", "first_failed_at", "last_failed_at", "message")
LETTER_COLUMNS = ("event_id", "state", "code", "cause", "key", "origin", "failed_at", "attempts", "redrives", "message")
JOB_COLUMNS = (
    "id", "deed", "dlq", "state", "letters", "sent", "delivered", "dropped", "failed_again", "who", "at", "error",
)  # fmt: skip


def group_row(dlq: str, group: CauseGroup) -> dict[str, Any]:
    """The letters of one cause; `message` is that of the latest."""
    row = asdict(group)
    return {"dlq": dlq, **row, "message": row.pop("sample")}


def letter_row(dlq: str, letter: Letter) -> dict[str, Any]:
    """One letter, without its content."""
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
        "attempts": letter.attempts,
        "revision": letter.revision,
        "redrives": letter.redrive_count,
        "message": letter.fault.message,
    }


def letter_rows(dlq: str, letters: Sequence[Letter]) -> list[dict[str, Any]]:
    """As `letter_row`."""
    return [letter_row(dlq, letter) for letter in letters]


def job_row(job: Job, settled: Settled | None = None) -> dict[str, Any]:
    """A redrive or drop, and what its sink has made of it as far as that is known."""
    row: dict[str, Any] = {
        "id": job.id,
        "deed": job.deed,
        "dlq": job.dlq,
        "state": job.state,
        "letters": job.letters,
        "keys": job.keys,
        "sent": job.sent,
    }
    if settled is not None:
        row |= {
            "delivered": settled.delivered,
            "dropped": settled.dropped,
            "failed_again": len(settled.failed_again),
            "not_settled_yet": settled.open,
        }
    return {
        **row,
        "plan": job.plan,
        "who": job.terms.who,
        "because": job.terms.because or None,
        "records_a_second": job.terms.records_s,
        "canary": job.terms.canary or None,
        "at": job.at,
        "error": job.error,
    }
