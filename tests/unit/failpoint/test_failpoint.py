"""A failpoint does what the environment says, at the hit that it says, and nothing where it says nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest

from mainstem.errors import Fenced, Misconfigured, Unreachable
from mainstem.failpoint import NAMES, VARIABLE, Trigger, armed, read_triggers
from tests.unit.architecture.sources import REPOSITORY

HITS = 1000
PASSES_FIVE_TIMES = """
from mainstem.failpoint import failpoint
for hit in range(1, 6):
    failpoint("sink.after_commit")
    print(hit, flush=True)
"""
CALL = 'failpoint("'


def run(setting: str | None) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.Popen(
        [sys.executable, "-c", PASSES_FIVE_TIMES],
        env=environ | ({} if setting is None else {VARIABLE: setting}),
        stdout=subprocess.PIPE,
        text=True,
    )


def hits_that_act(trigger: Trigger) -> list[int]:
    acted: list[int] = []
    now = 0
    hit = armed({"source.read": Trigger(lambda: acted.append(now), trigger.share, trigger.nth)}, random.Random(1))
    for now in range(1, HITS + 1):  # noqa: B007 - what acts reads it
        hit("source.read")
    return acted


def test_without_the_variable_nothing_happens() -> None:
    with run(None) as process:
        assert process.communicate()[0].split() == ["1", "2", "3", "4", "5"]
        assert process.returncode == 0


def test_kill_ends_the_process_at_the_hit_that_is_named() -> None:
    with run("sink.after_commit=kill#3") as process:
        assert process.communicate()[0].split() == ["1", "2"]
        assert process.returncode == -signal.SIGKILL


def test_stop_stops_the_process_until_it_is_woken() -> None:
    with run("sink.after_commit=stop#2") as process:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0].split() == ["1", "2", "3", "4", "5"]


def test_another_failpoints_setting_is_not_ones_own() -> None:
    with run("sink.before_commit=kill") as process:
        assert len(process.communicate()[0].split()) == 5


def test_raise_raises_the_error_that_is_named() -> None:
    triggers = read_triggers("sink.before_write=raise:Unreachable#2, sink.taken_over=raise:Fenced")
    hit = armed(triggers, random.Random(1))
    hit("sink.before_write")
    with pytest.raises(Unreachable, match="failpoint"):
        hit("sink.before_write")
    with pytest.raises(Fenced):
        hit("sink.taken_over")


def test_a_number_means_that_hit_only() -> None:
    assert hits_that_act(Trigger(lambda: None, nth=7)) == [7]


def test_a_share_means_about_so_many_of_the_hits() -> None:
    assert 200 < len(hits_that_act(Trigger(lambda: None, share=0.25))) < 300


def test_nothing_beside_means_every_hit() -> None:
    assert hits_that_act(Trigger(lambda: None)) == list(range(1, HITS + 1))


@pytest.mark.parametrize("setting", ["sink.after_comit=kill", "sink.after_commit", "sink.after_commit=kill@often"])
def test_what_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(Misconfigured, match="MAINSTEM_FAILPOINTS"):
        read_triggers(setting)


def test_an_error_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Misconfigured, match="Unreachible"):
        read_triggers("source.read=raise:Unreachible")


def test_every_failpoint_in_the_code_has_a_known_name() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "mainstem").rglob("*.py")]
    called = {part.partition('"')[0] for text in texts for part in text.split(CALL)[1:]}
    assert called <= NAMES
