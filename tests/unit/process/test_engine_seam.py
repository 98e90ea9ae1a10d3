"""What the engine takes for granted of Faust, and what nobody may take for granted of the engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import mainstem.process

PROCESS = Path(mainstem.process.__file__).parent
LOOK = """
import warnings; warnings.simplefilter("ignore")
import inspect
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as stock
from aiokafka import AIOKafkaConsumer
wanted = {
    stock.AIOKafkaConsumerThread: ["_create_worker_consumer"],
    stock.Consumer: ["_new_consumer_thread", "_new_offset", "_add_gap", "on_partitions_revoked", "unacked"],
    stock.Producer: ["_settings_extra"],
    TableManager: ["_update_channels", "recovery"],
}
missing = [f"{owner.__name__}.{name}" for owner, names in wanted.items() for name in names if not hasattr(owner, name)]
init = inspect.getsource(AIOKafkaConsumer)
missing += [n for n in ("self._isolation_level = ", "isolation_level=self._isolation_level") if n not in init]
held = inspect.getsource(stock.Consumer.__mro__[2])
missing += [n for n in ("self._acked = ", "self._acked_index = ") if n not in held]
print(missing)
"""


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_the_engine_imports_nothing_else_of_mainstem() -> None:
    names = {name for file in (PROCESS / "engine").glob("*.py") for name in imports(file)}
    ours = {name for name in names if name.split(".")[0] == "mainstem"}
    assert {name for name in ours if not name.startswith("mainstem.process.engine")} == set()


def test_nothing_but_the_engine_knows_faust() -> None:
    names = {name for file in PROCESS.glob("*.py") for name in imports(file)}
    assert {name for name in names if name.split(".")[0] in {"faust", "mode", "aiokafka"}} == set()


def test_faust_still_has_every_name_that_is_overridden() -> None:
    """In a process of its own: Faust's imports warn, and warnings are errors here."""
    look = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert look.stdout.strip() == "[]"
