"""`mainstem demo --once`: the week, from an empty project to exact books, again and again, and with other data."""

from __future__ import annotations

import csv
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstem.devstack import Stack
from tests.backbone_process import command
from tests.demo_copy import REPOSITORY

# Its topics and its database have the demo's own names: one at a time on a stack, whoever runs it.
pytestmark = pytest.mark.stack

PROJECT = ("mainstem.yaml", "integrations", "streams", "schemas")
FEW = 200
LIMIT_S = 180
LONGEST_S = 60


@pytest.fixture
def env(stack: Stack, tmp_path: Path, free_port: int) -> Iterator[dict[str, str]]:
    for name in PROJECT:
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    lock = REPOSITORY / ".mainstem" / "test" / "demo.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        yield {
            "MAINSTEM_KAFKA__BOOTSTRAP": stack.bootstrap,
            "MAINSTEM_REGISTRY__URL": stack.registry_url,
            "MAINSTEM_STACK_POSTGRES_DSN": stack.postgres_dsn,
            "MAINSTEM_GATEWAY__PORT": str(free_port),
        }


def week(folder: Path, env: dict[str, str], data: Path) -> dict[str, Any]:
    result = command(folder, "demo", "--once", "-o", "json", "--data", str(data), env=env, timeout_s=LIMIT_S)
    assert result.returncode == 0, result.stderr
    assert "the books are exact" in result.stderr
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def first_baskets(folder: Path, count: int) -> Path:
    """A folder of the same shape with a part of the data."""
    data = REPOSITORY / "data" / "journey"
    folder.mkdir()
    shutil.copy(data / "products.csv", folder)
    with (data / "transactions.csv").open(newline="") as source, (folder / "transactions.csv").open("w") as target:
        rows = list(csv.DictReader(source))
        kept = set(list(dict.fromkeys(row["basket_id"] for row in rows))[:count])
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["basket_id"] in kept)
    return folder


def test_the_week_comes_to_exact_books_and_the_next_run_with_other_data_starts_clean(
    env: dict[str, str], tmp_path: Path
) -> None:
    figures = week(tmp_path, env, REPOSITORY / "data" / "journey")
    few = week(tmp_path, env, first_baskets(tmp_path / "few", FEW))

    counts = {name: figures[name] for name in ("baskets", "delivered", "redriven", "dead_letters", "journal_lines")}
    assert counts == {
        "baskets": 2919,
        "delivered": 2911,
        "redriven": 13,
        "dead_letters": 8,
        "journal_lines": 10_396,
    }
    assert (figures["refused_at_first"], figures["journal_total"]) == (21, "93370.29")
    assert figures["problems"] == []
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["seconds"] < LONGEST_S
    assert (few["baskets"], few["delivered"] + few["dead_letters"], few["problems"]) == (FEW, FEW, [])


def test_it_says_where_it_has_to_be_run(tmp_path: Path) -> None:
    (tmp_path / "mainstem.yaml").write_text("project: other\n")

    result = command(tmp_path, "demo", "--once")

    assert result.returncode == 2
    assert "is not the demo company's project" in result.stderr
