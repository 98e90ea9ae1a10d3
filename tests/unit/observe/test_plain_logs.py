"""What libraries say: one object of JSON each, without values, and not forty times a second."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from mainstem.observe import logs


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_librarys_line_is_json_without_its_arguments_and_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    library = logging.getLogger("some.library")

    for _ in range(3):
        library.warning("cannot send %s", "a payload value")
    library.error("lost %s", "another")
    library.info("nothing of interest")

    assert [(line["event"], line["level"]) for line in said(capsys)] == [
        ("cannot send %s", "warning"),
        ("lost %s", "error"),
    ]


def test_what_ends_a_thread_is_a_line_without_the_words_of_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    thread = threading.Thread(target=lambda: int("a payload value"), name="worker")
    thread.start()
    thread.join()

    (line,) = said(capsys)
    assert (line["event"], line["thread"]) == ("a thread ended", "worker")
    assert line["traceback"].endswith("ValueError")
