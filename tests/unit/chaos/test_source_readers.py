"""Who is a zombie when it wakes: one that had sources when it fell asleep, by its own words."""

from __future__ import annotations

import orjson
import pytest

from tests.chaos.source_readers import held

LISTENING = "listening on http://127.0.0.1:1; Ctrl-C stops"


def said(event: str, *sources: str) -> str:
    return orjson.dumps({"group": "g", "sources": sources, "event": event}, option=orjson.OPT_INDENT_2).decode()


def log(*lines: str) -> str:
    return "\n".join(" ".join(line.split()) for line in lines)


@pytest.mark.parametrize(
    ("lines", "sources"),
    [
        ([], ""),
        ([LISTENING], ""),
        ([LISTENING, said("sources taken", "a", "b")], "ab"),
        ([LISTENING, said("sources taken", "a", "b"), said("sources left", "a", "b")], ""),
        ([said("sources taken", "a"), said("sources left", "a"), said("sources taken", "b")], "b"),
        ([said("sources taken", "a"), LISTENING], ""),
        ([said("sources taken", "a"), said("stopped", "a")], "a"),
    ],
)
def test_a_process_has_what_it_said_last_that_it_took(lines: list[str], sources: str) -> None:
    assert held(log(*lines)) == frozenset(sources)
