"""The documentation is true: what it tells to write works, what it tells to type exists, where it points is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer._click.exceptions import MissingParameter, UsageError
from typer.main import get_command

from mainstem.cli.demo.books import expected
from mainstem.cli.main import app
from mainstem.project.load import load
from tests.unit.docs.pages import PAGES, REPOSITORY, blocks, commands, files, links, paths

README = REPOSITORY / "README.md"
LONGEST_RECORD_LINES = 40
SECRETS = {
    "MAINSTEM_SECRET_ACCOUNTING_DSN": "postgresql://nobody@127.0.0.1/accounting",
    "MAINSTEM_SECRET_TILL_SIGNING": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "MAINSTEM_SECRET_WAREHOUSE_DSN": "postgresql://nobody@127.0.0.1/warehouse",
}
PYTEST = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = --import-mode=importlib
pythonpath = .
"""


def _name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo company's project with every file in it that the pages tell to write."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(REPOSITORY / "mainstem.yaml", folder)
    for name in ("integrations", "schemas", "streams"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text(PYTEST)
    for page in PAGES:
        for file in files(page):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists() or path.read_text() == file.text, f"{file.path} is written twice"
            path.write_text(file.text)
    return folder


def _run(project: Path, *words: str) -> str:
    """Runs Python in the project; gives what it said. Fails when it does."""
    outer = ("COVERAGE_", "COV_CORE_", "MAINSTEM_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outer)} | SECRETS
    done = subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.slow
def test_the_tests_that_the_pages_give_pass(project: Path) -> None:
    written = [file.path for page in PAGES for file in files(page) if file.path.startswith("tests/")]
    assert written

    said = _run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *sorted(set(written)))

    assert " passed" in said
    assert "skipped" not in said


def test_the_project_that_the_pages_make_has_no_finding(project: Path) -> None:
    said = _run(project, "-c", "from mainstem.cli.main import main; main()", "lint", "-o", "json")

    assert json.loads(said.partition("\n]")[0] + "]" if said.startswith("[\n") else said.splitlines()[0]) == []


def test_every_project_file_that_the_pages_give_is_one(project: Path) -> None:
    given = [file.path for page in PAGES for file in files(page) if file.path.endswith("/mainstem.yaml")]
    assert given
    for path in given:
        assert load((project / path).parent, environ={}).gateway.api_keys


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_code_of_a_page_is_formatted_and_clean(page: Path) -> None:
    """But for the order of imports (which are the project's own, ruff knows from folders that are not here) and for
    programs that print."""
    for file in files(page):
        for rule in (["check", "--ignore", "I001,T201"], ["format", "--check"]) if file.language == "python" else ():
            said = subprocess.run(
                [sys.executable, "-m", "ruff", *rule, "--no-cache", "--stdin-filename", file.path, "-"],
                cwd=REPOSITORY,
                input=file.text,
                capture_output=True,
                text=True,
                check=False,
            )
            assert said.returncode == 0, f"{file.path}: {said.stdout}{said.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_program_on_a_page_is_a_file_so_that_it_is_run(page: Path) -> None:
    written = {file.text for file in files(page)}
    loose = [
        block for language in ("python", "yaml", "sql") for block in blocks(page, language) if block not in written
    ]
    assert loose == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    for words in commands(page, "mainstem"):
        problem = _problem(get_command(app), words)
        assert problem is None, f"mainstem {' '.join(words)}: {problem}"


def test_the_table_of_commands_has_all_of_them() -> None:
    told = {
        line.split("`")[1].removeprefix("mainstem ")
        for line in README.read_text().splitlines()
        if line[:11] == "| `mainstem"
    }
    assert told == set(_leaves(get_command(app)))


def test_the_books_in_the_readme_are_those_of_the_data() -> None:
    (shown,) = [block for block in blocks(README, "json") if "baskets" in block]
    wanted = expected(REPOSITORY / "data" / "journey")
    never, not_yet = len(wanted.never), len(wanted.not_yet)
    assert (
        json.loads(shown).items()
        >= {
            "baskets": wanted.baskets,
            "delivered": wanted.baskets - never,
            "redriven": not_yet,
            "dead_letters": never,
            "journal_lines": wanted.books.lines,
            "journal_total": str(wanted.books.credits),
        }.items()
    )


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_target_of_make_on_a_page_exists(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for words in commands(page, "make"):
        assert all(f"\n{target}:" in makefile for target in words), f"make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [str(target) for target in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_file_that_a_page_speaks_of_is_there(page: Path) -> None:
    written = {file.path for other in PAGES for file in files(other)}
    assert [path for path in paths(page) if path not in written and not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "adr"], ids=_name)
def test_a_decision_record_is_short_and_has_its_three_parts(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert len(lines) <= LONGEST_RECORD_LINES
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]


def test_a_wrong_command_is_noticed() -> None:
    root = get_command(app)
    assert _problem(root, ["demo", "--once", "-o", "json"]) is None
    assert _problem(root, ["dlq", "list", "a.b", "--letters"]) is None
    assert _problem(root, ["replay", "plan", "a.b", "--from", "-1h"]) is None
    assert _problem(root, ["replay", "plan", "a.b", "--zzz", "-1h"]) == "No such option: --zzz"
    assert _problem(root, ["dlq", "mend", "x"]) == "no command mend"
    assert _problem(root, ["topic", "tail", "a", "b"]) == "Got unexpected extra argument(s) (b)"
    assert _problem(root, ["dlq", "list", "-o", "xml"]) is not None


def _leaves(command: Any, path: Sequence[str] = ()) -> list[str]:
    nested = getattr(command, "commands", None)
    if nested is None:
        return [" ".join(path)]
    return [leaf for name, inner in nested.items() for leaf in _leaves(inner, [*path, name])]


def _problem(command: Any, words: Sequence[str]) -> str | None:
    """What the command line says to it; a command without its arguments is only spoken of, and so is a group alone."""
    rest = list(words)
    while rest and (nested := getattr(command, "commands", None)) is not None and not rest[0].startswith("-"):
        if rest[0] not in nested:
            return f"no command {rest[0]}"
        command = nested[rest.pop(0)]
    if not rest or rest == ["--help"] or hasattr(command, "commands"):
        return None
    try:
        command.make_context(command.name, rest)
    except MissingParameter:
        return None
    except UsageError as error:
        return error.format_message()
    return None
