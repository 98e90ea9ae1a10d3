"""Quix Streams as a contestant, in a virtual environment of its own: it pins other versions of what mainstem uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).parent.parent.parent
PINS = Path(__file__).with_name("quix.txt")
HOME = REPOSITORY / "build" / "quix"
PYTHON = HOME / "bin" / "python"
PROGRAM = "import json, sys; from tests.bench.quix_app import run; run(json.loads(sys.argv[1]))"


class NotInstalled(Exception):
    """Why the environment could not be made, in one line."""


def install() -> None:
    """Makes the environment, once for these pins. Raises NotInstalled."""
    done = HOME / PINS.name
    if done.exists() and done.read_text() == PINS.read_text():
        return
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", str(PINS))
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(HOME)],
        [str(PYTHON), "-m", "pip", "install", *quiet],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            said = (made.stderr or made.stdout).strip().splitlines() or [f"exit code {made.returncode}"]
            raise NotInstalled(said[-1])
    done.write_text(PINS.read_text())


def become(settings: dict[str, Any]) -> NoReturn:
    """This process goes on as Quix's; see `quix_app.run`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    os.execve(PYTHON, [str(PYTHON), "-c", PROGRAM, json.dumps(settings)], environment)  # noqa: S606
