from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from mainstem.gateway.access import AccessRules
from mainstem.gateway.state import StateRoutes
from mainstem.observe.board import Board
from mainstem.project.gateway import GatewaySettings
from tests.unit.deploy.dockerfile import Stage, stages

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def image() -> dict[str, Stage]:
    return {stage.name: stage for stage in stages(REPOSITORY / "deploy" / "Dockerfile")}


def test_the_stages_are_build_engine_and_the_demo_company(image: dict[str, Stage]) -> None:
    assert list(image) == ["build", "engine", "company"]
    assert image["company"].base == "engine"


def test_the_base_is_the_python_that_the_locks_are_for(image: dict[str, Stage]) -> None:
    locked = re.search(r"with Python (\d+\.\d+)", (REPOSITORY / "requirements" / "runtime.txt").read_text())
    assert locked
    assert image["engine"].base == f"python:{locked[1]}-slim-trixie"
    assert image["build"].base == f"python:{locked[1]}-trixie"  # the same, with a compiler


def test_it_does_not_run_as_root(image: dict[str, Stage]) -> None:
    (user,) = image["engine"].all("USER")
    assert int(user.partition(":")[0]) > 0
    assert image["company"].all("USER") == []


def test_what_is_installed_is_pinned_by_hash_and_has_no_development_tools(image: dict[str, Stage]) -> None:
    installs = [part for run in image["build"].all("RUN") for part in run.split("&&") if "pip install" in part]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install
    assert not any("dev.txt" in step for stage in image.values() for _, step in stage.steps)
    assert image["engine"].all("RUN")[0].startswith("groupadd")
    assert len(image["engine"].all("RUN")) == 1


def test_nothing_is_downloaded_beside_the_package_index(image: dict[str, Stage]) -> None:
    steps = [(name, arguments) for stage in image.values() for name, arguments in stage.steps]
    assert [name for name, _ in steps if name == "ADD"] == []
    assert [
        text for name, text in steps if name != "HEALTHCHECK" and re.search(r"https?:|curl|wget|apt-get", text)
    ] == []


def test_it_starts_the_backbone_and_stops_it_by_signal(image: dict[str, Stage]) -> None:
    assert image["engine"].all("ENTRYPOINT") == ['["mainstem"]']
    assert image["engine"].all("CMD") == ['["run"]']


def test_its_health_check_asks_an_open_route_of_the_gateway(image: dict[str, Stage]) -> None:
    routes = StateRoutes(Board(), AccessRules(GatewaySettings()), dict).routes()
    (check,) = image["engine"].all("HEALTHCHECK")
    asked = re.search(r"\}(/[a-z]+)", check)
    assert asked
    assert asked[1] in {route.path for route in routes if route.access.name == "OPEN"}


def test_everything_that_is_copied_is_there_and_not_ignored(image: dict[str, Stage]) -> None:
    ignore = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignore[0] == "*"
    let_in = [line[1:].rstrip("/") for line in ignore if line.startswith("!")]
    copied = [path.rstrip("/") for stage in image.values() for path in stage.copied()]
    assert copied
    for path in copied:
        assert (REPOSITORY / path).exists(), path
        assert any(path == name or path.startswith(f"{name}/") for name in let_in), path


@pytest.mark.parametrize("private", [".env", ".mainstem/secrets/till_signing", ".git/config"])
def test_secrets_stay_outside_the_build(private: str) -> None:
    let_in = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert not any(fnmatch.fnmatch(private, f"{name}*") for name in let_in)
