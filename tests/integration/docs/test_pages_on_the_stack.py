"""What the pages promise on a running stack: the README's integration delivers, and its programs publish and read."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from mainstem import devstack
from tests.backbone_process import BackboneProcess, command, until
from tests.demo_copy import copy_demo
from tests.unit.docs.pages import REPOSITORY, files

pytestmark = pytest.mark.stack

CONTAINERS = {"127.0.0.1:9094": "bootstrap", "http://127.0.0.1:8081/apis/ccompat/v7": "registry_url"}
"""The addresses on the pages, and what stands for them here."""
COUNTS = [("s1", "p1", 10, 7), ("s1", "p2", 5, 5), ("s1", "p3", 4, 0)]
LATER = [("s1", "p4", 2, 1)]


class Newcomer:
    """Who follows the README, under names that nobody else uses."""

    def __init__(self, folder: Path, stack: devstack.Stack) -> None:
        self.folder = folder
        self.tag = uuid.uuid4().hex[:10]
        self.dsn = devstack.recreate_database(stack.postgres_dsn, f"warehouse_{self.tag}")
        self.env = {
            "MAINSTEM_KAFKA__BOOTSTRAP": stack.bootstrap,
            "MAINSTEM_REGISTRY__URL": stack.registry_url,
            "MAINSTEM_SECRET_WAREHOUSE_DSN": self.dsn,
            "HANDHELD_DB": str(folder / "handheld.sqlite"),
        }
        (folder / "mainstem.yaml").write_text((REPOSITORY / "mainstem.yaml").read_text())
        for file in files(REPOSITORY / "README.md"):
            path = folder / self._own(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._own(file.text))

    @property
    def integration(self) -> str:
        return self._own("shelf-shortages")

    def count(self, rows: list[tuple[str, str, int, int]]) -> None:
        """The scanner stores counts."""
        with closing(sqlite3.connect(self.env["HANDHELD_DB"])) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS stock_count (store_id, product_id, expected, counted, counted_at)"
            )
            stored = [(*row, "2017-03-01T08:00:00Z") for row in rows]
            database.executemany("INSERT INTO stock_count VALUES (?, ?, ?, ?, ?)", stored)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """What the warehouse sees."""
        with psycopg.connect(self.dsn) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def do(self, *words: str) -> None:
        done = command(self.folder, *words, env=self.env)
        assert done.returncode == 0, done.stdout + done.stderr

    def _own(self, text: str) -> str:
        for name in ("raw.handheld", "raw/handheld", "shelf_short", "find_shortages"):
            text = text.replace(name, f"{name}_{self.tag}")
        text = text.replace("key: product_id}", "key: product_id, poll_every_s: 0.5}")  # nobody waits 30 s here
        return text.replace("shelf-shortages", f"shelf-shortages-{self.tag}")


def test_the_integration_of_the_readme_delivers(tmp_path: Path, stack: devstack.Stack, free_port: int) -> None:
    newcomer = Newcomer(tmp_path, stack)
    table = f"shelf_short_{newcomer.tag}"
    warehouse = (tmp_path / "integrations" / "warehouse.sql").read_text()
    newcomer.query(warehouse)
    newcomer.count(COUNTS)
    newcomer.do("lint")
    newcomer.do("apply", "--execute")
    with BackboneProcess(tmp_path, free_port, env=newcomer.env) as backbone:
        backbone.start(newcomer.integration).until_ready()
        until(lambda: len(newcomer.query(f"SELECT * FROM {table}")) == 2, what=backbone.parts)
        newcomer.do("topic", "tail", f"stock.{table}.v1", "-o", "json")
        newcomer.do("dlq", "list", f"{newcomer.integration}.shortages")
        assert newcomer.query(f"SELECT * FROM {table} WHERE missing NOT IN (3, 4)") == []

        newcomer.query(f"DROP TABLE {table}")
        newcomer.count(LATER)
        until(lambda: backbone.says(f"{newcomer.integration}.shortages", "paused", "MS-204"), what=backbone.parts)
        assert table in backbone.command("doctor").stdout
        newcomer.query(warehouse)
        until(lambda: newcomer.query(f"SELECT * FROM {table}"), what=backbone.parts)
        assert backbone.stop() == 0
    assert newcomer.query(f"SELECT product_id, missing FROM {table}") == [("p4", 1)]


def test_the_programs_of_publish_and_subscribe_run(tmp_path: Path, stack: devstack.Stack) -> None:
    demo = copy_demo(tmp_path, stack)
    said = {}
    for file in files(REPOSITORY / "docs" / "howto" / "publish-and-subscribe.md"):
        text = file.text.replace("payments.payment_settled.v1", demo.payments)
        for address, name in CONTAINERS.items():
            assert address in text
            text = text.replace(address, getattr(stack, name))
        program = tmp_path / file.path
        program.write_text(text)
        done = subprocess.run(
            [sys.executable, program],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said[file.path] = done.stdout.splitlines()

    durable, refused, read = said["publish_settlement.py"]
    assert durable == "durable: till-service:7"
    assert "net: expected decimal(12,2)" in refused
    assert read.startswith("read: till-service:7 12.50 ")
    assert said["plain_client.py"] == ["read: b'7' 12.50 b'till-service:7'", "left: 0"]
