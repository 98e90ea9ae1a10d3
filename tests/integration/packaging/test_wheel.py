"""The wheel, built and installed as a user has it: without the repository around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mainstem.observe.metrics import VERSION

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[3]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves files beside what it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "mainstem.yaml"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("mainstem", "connectors", "streams", "integrations", "schemas", "tests"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    made = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(made)]
    subprocess.run([*PIP, "wheel", *options, source], check=True, timeout=300)
    return next(made.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds only the wheel; its dependencies are this interpreter's."""
    site = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*PIP, "install", *options, wheel], check=True, timeout=300)
    return site


def run(installed: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    command = [installed / "bin" / "mainstem", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=180)


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_every_module_of_the_engine_and_of_the_connectors(wheel: Path) -> None:
    modules = [path for folder in ("mainstem", "connectors") for path in (REPOSITORY / folder).rglob("*.py")]
    wanted = {path.relative_to(REPOSITORY).as_posix() for path in modules}
    assert wanted <= names_in(wheel)


def test_it_holds_what_is_no_module_but_needed(wheel: Path) -> None:
    data = [
        path
        for path in (REPOSITORY / "mainstem").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".so"}
    ]
    assert {"mainstem/py.typed", "mainstem/devstack/kafka.lock"} <= {p.relative_to(REPOSITORY).as_posix() for p in data}
    assert {path.relative_to(REPOSITORY).as_posix() for path in data} <= names_in(wheel)


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no compiler here")
def test_it_holds_the_native_codec_built(wheel: Path) -> None:
    assert [name for name in names_in(wheel) if name.startswith("mainstem/codec/native/_avro.cpython-")]


def test_every_connector_says_that_it_is_typed(wheel: Path) -> None:
    names = names_in(wheel)
    packages = {name.split("/")[1] for name in names if name.startswith("connectors/")}
    assert packages
    assert [name for name in packages if f"connectors/{name}/py.typed" not in names] == []


def test_it_holds_nothing_of_the_demo_company_and_no_test(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    assert tops == {"mainstem", "connectors", f"mainstem-{VERSION}.dist-info"}


def test_the_installed_command_tells_its_version(installed: Path, tmp_path: Path) -> None:
    said = run(installed, "--version", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (0, f"mainstem {VERSION}\n"), said.stderr


def test_a_project_elsewhere_finds_the_installed_connectors(installed: Path, tmp_path: Path) -> None:
    for name in ("integrations", "streams", "schemas"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copy(REPOSITORY / "mainstem.yaml", tmp_path)
    folder = tmp_path / ".mainstem" / "secrets"
    folder.mkdir(parents=True, mode=0o700)
    for name, value in {"till_signing": "whsec_" + "A" * 32, "accounting_dsn": "dbname=books"}.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    said = run(installed, "lint", "--output", "json", cwd=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
