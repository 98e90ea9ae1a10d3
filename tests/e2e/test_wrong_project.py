"""What is wrong with a project, or away from it, is said in one line with its fix; the exit code tells which it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mainstem.devstack import Stack
from tests.backbone_process import command
from tests.demo_copy import DemoCopy, copy_demo

pytestmark = pytest.mark.stack

RUN, LINT, DOCTOR = ("run",), ("lint",), ("doctor",)
NOWHERE = {"MAINSTEM_KAFKA__BOOTSTRAP": "127.0.0.1:1", "MAINSTEM_REGISTRY__URL": "http://127.0.0.1:1"}


@pytest.fixture
def demo(tmp_path: Path, stack: Stack) -> DemoCopy:
    return copy_demo(tmp_path, stack)


def break_key(demo: DemoCopy) -> None:
    demo.edit(f"integrations/{demo.integration}.yaml", "promise:", "promse:")


def break_connector(demo: DemoCopy) -> None:
    demo.edit(f"integrations/{demo.integration}.yaml", "connector: postgres", "connector: postgers")


def break_secret(demo: DemoCopy) -> None:
    (demo.folder / ".mainstem" / "secrets" / "accounting_dsn").unlink()


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        (break_key, "MS-201", r"integrations/.*\.yaml:\d+:\d+: .*`promse`.*promise"),
        (break_connector, "MS-202", r"integrations/.*\.yaml:\d+:\d+: .*`postgers`.*postgres"),
        (break_secret, "MS-203", r"integrations/.*\.yaml:\d+:\d+: .*`accounting_dsn`"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place_and_its_fix(
    demo: DemoCopy, how: Callable[[DemoCopy], None], code: str, said: str
) -> None:
    how(demo)

    with ThreadPoolExecutor() as threads:
        ran, linted, examined = threads.map(lambda arguments: command(demo.folder, *arguments), (RUN, LINT, DOCTOR))

    assert ran.returncode == 2, ran.stderr
    error, fix = ran.stderr.splitlines()
    assert re.fullmatch(rf"error {code}: {said}.*", error), error
    assert re.fullmatch(r"fix: .+", fix)
    assert ran.stdout == ""
    assert linted.returncode == 2
    (line,) = [line for line in linted.stdout.splitlines() if "error" in line]
    assert re.fullmatch(rf"{said}.*\(fix: .+\)", line.replace(f"error {code}: ", "")), line
    assert linted.stderr.splitlines()[-1].startswith("1 errors")
    assert examined.returncode == 1
    assert code in examined.stdout
    for result in (ran, linted, examined):
        assert "Traceback" not in result.stdout + result.stderr


def test_the_demo_has_nothing_wrong(demo: DemoCopy) -> None:
    result = command(demo.folder, "lint")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no findings\n")


def test_no_project_at_all_is_said_too(tmp_path: Path) -> None:
    result = command(tmp_path, "run")

    assert result.returncode == 2
    assert re.fullmatch(r"error MS-201: .*there is no project in .*\nfix: .+\n", result.stderr)


def test_a_kafka_that_is_away_ends_a_command_with_3_and_a_doctor_finds_all_that_is_away(demo: DemoCopy) -> None:
    with ThreadPoolExecutor() as threads:  # each waits its ten seconds
        asked = [("topic", "list"), ("group", "list"), ("dlq", "list"), ("doctor",)]
        *commands, doctor = threads.map(lambda arguments: command(demo.folder, *arguments, env=NOWHERE), asked)

    for result in commands:
        assert result.returncode == 3, (result.stdout, result.stderr)
        error, fix = result.stderr.splitlines()
        assert re.match(r"error MS-30[12]: ", error)
        assert fix.startswith("fix: ")
    assert doctor.returncode == 1
    assert {"MS-301", "MS-302"} <= set(re.findall(r"MS-\d+", doctor.stdout))


def test_an_unknown_command_or_option_is_a_matter_of_usage(demo: DemoCopy) -> None:
    assert command(demo.folder, "rum").returncode == 2
    assert command(demo.folder, "run", "--nowhere").returncode == 2
    unknown = command(demo.folder, "run", "payments-to-acounting")
    assert unknown.returncode == 2
    assert "no integration `payments-to-acounting`" in unknown.stderr
