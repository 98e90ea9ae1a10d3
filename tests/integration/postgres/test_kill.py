from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
FOREVER = 10**9
FENCED, LOST = 3, 4

pytestmark = pytest.mark.stack
Worker = subprocess.Popen[str]


@pytest.fixture
def worker(database: str, connection: psycopg.Connection) -> Iterator[Callable[..., Worker]]:
    connection.execute("CREATE TABLE numbers (n bigint NOT NULL)")  # no unique key: doubling would show
    started: list[Worker] = []

    def start(end: int = FOREVER, step: int = 200) -> Worker:
        command = [sys.executable, str(HERE / "counting_worker.py"), database, str(end), str(step)]
        environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        started.append(process := subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ))
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(worker: Worker, commits: int) -> int:
    """Reads until the worker told of so many commits; where it is then."""
    assert worker.stdout is not None
    told = [worker.stdout.readline() for _ in range(commits)]
    assert told[-1], f"the worker ended with {worker.wait()}"
    return int(told[-1])


def counted(connection: psycopg.Connection) -> tuple[int, int, int]:
    found = connection.execute("SELECT count(*), count(DISTINCT n), coalesce(max(n), -1) + 1 FROM numbers").fetchone()
    assert found is not None
    return found


def test_ten_kills_lose_nothing_and_double_nothing(
    worker: Callable[..., Worker], connection: psycopg.Connection
) -> None:
    luck = random.Random(20261124)
    for _ in range(10):
        victim = worker()
        wait_for(victim, luck.randrange(1, 30))
        time.sleep(luck.random() * 0.01)  # not a wait: the kill may fall into any moment of a batch
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    reached = counted(connection)[2]
    assert worker(reached + 500).wait() == 0
    assert counted(connection) == (reached + 500,) * 3


def test_a_worker_stopped_and_woken_is_fenced_and_writes_nothing(
    worker: Callable[..., Worker], connection: psycopg.Connection
) -> None:
    luck = random.Random(20261125)
    for step in (50, 20_000):  # with the long one it is mostly stopped in the middle of a transaction
        zombie = worker(step=step)
        wait_for(zombie, luck.randrange(2, 6))
        zombie.send_signal(signal.SIGSTOP)
        successor = worker(step=step)
        reached = wait_for(successor, 2)
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait() in (FENCED, LOST)
        assert wait_for(successor, 1) > reached
        successor.kill()
        successor.wait()
    total, distinct, end = counted(connection)
    assert total == distinct == end
