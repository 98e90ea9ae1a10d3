"""Kafka Streams as a contestant: a small program, built by Maven where there are Maven and a Java compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

from mainstem.devstack.jvm import java
from tests.bench.orders import schema

REPOSITORY = Path(__file__).parent.parent.parent
SOURCES = Path(__file__).with_name("java")
HOME = REPOSITORY / "build" / "kafka_streams"
LIBRARIES = HOME / "dependency"


class NotBuilt(Exception):
    """Why there is no such program, in one line."""


def build() -> None:
    """Makes it, if it is older than its sources. Raises NotBuilt."""
    done = HOME / "done"
    sources = [path for path in SOURCES.rglob("*") if path.is_file()]
    if done.exists() and done.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    maven = shutil.which("mvn")
    if maven is None or shutil.which("javac") is None:
        raise NotBuilt("it needs Maven (mvn) and a Java compiler (javac)")
    made = subprocess.run(
        [maven, "--batch-mode", "--quiet", f"-Dbench.target={HOME}", "compile", "dependency:copy-dependencies"],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        errors = [line for line in made.stdout.splitlines() if "ERROR" in line] or [f"exit code {made.returncode}"]
        raise NotBuilt(errors[0])
    done.touch()


def become(settings: dict[str, Any]) -> NoReturn:
    """This process goes on as the program's, in the Java that the broker runs on."""
    words = [settings[name] for name in ("bootstrap", "reads", "writes", "group", "guarantee", "folder")]
    classes = os.pathsep.join([str(HOME / "classes"), str(LIBRARIES / "*")])
    command = [*java("-Xmx1g", "-cp", classes), "bench.Orders", *words, json.dumps(schema("bench"))]
    os.execv(command[0], [str(word) for word in command])  # noqa: S606
