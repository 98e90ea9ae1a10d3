from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from connectors.webhook.signature import read_key
from mainstem import Secret
from mainstem.cli.exit import REFUSED

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "deploy").mkdir()
    shutil.copy(REPOSITORY / "deploy" / "make-env", tmp_path / "deploy")
    return tmp_path


def make(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [checkout / "deploy" / "make-env"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def values(checkout: Path) -> dict[str, str]:
    lines = (checkout / ".env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_it_makes_every_variable_that_compose_requires(checkout: Path) -> None:
    assert make(checkout).returncode == 0
    compose = (REPOSITORY / "docker-compose.yml").read_text()
    required = {part.split(":?")[0] for part in compose.split("${")[1:]}
    assert set(values(checkout)) == required


def test_its_secrets_are_new_and_of_use(checkout: Path) -> None:
    make(checkout)
    first = values(checkout)
    assert len(read_key(Secret(first["MAINSTEM_TILL_SIGNING"]))) == 32
    assert len(bytes.fromhex(first["MAINSTEM_POSTGRES_PASSWORD"])) == 24
    (checkout / ".env").unlink()
    make(checkout)
    assert not set(first.values()) & set(values(checkout).values())


def test_only_its_owner_can_read_them_and_they_are_not_printed(checkout: Path) -> None:
    said = make(checkout)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    assert not any(value in said.stdout + said.stderr for value in values(checkout).values())


def test_it_never_replaces_secrets_that_are_in_use(checkout: Path) -> None:
    make(checkout)
    before = values(checkout)
    again = make(checkout)
    assert again.returncode == REFUSED
    assert "there is an .env already" in again.stderr
    assert values(checkout) == before


def test_git_and_the_image_never_see_them() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    assert (REPOSITORY / ".dockerignore").read_text().splitlines()[1] == "*"
