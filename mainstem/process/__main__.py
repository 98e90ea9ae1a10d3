"""The child process of one stream. Started by `supervisor`, not by people.

Ends with 0 when it was asked to, EX_TEMPFAIL when a new process can go on at once, EX_CONFIG when a person has to mend
something first. It stops when its standard input ends: then the parent has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

import uvloop

from mainstem.errors import MainstemError, Unreachable
from mainstem.observe import logs, metrics
from mainstem.observe.board import Board
from mainstem.process.channel import Channel
from mainstem.process.engine import EngineFailed
from mainstem.process.report import StreamReport
from mainstem.process.worker import Worker

LAST_S = 10.0
"""After its parent has gone a process has that long to finish by itself."""


async def work(folder: Path, name: str, part: str, member: str, pipe: int) -> int:
    """Runs the stream; gives the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=_watch_parent, args=(loop, stop), daemon=True).start()
    board = Board()
    channel = Channel(
        pipe,
        lambda: {"board": board.as_json(), "metrics": metrics.exposition().decode(), "counts": dict(report.counts)},
        stop.set,
    )
    report = StreamReport(name, board, channel.changed, part=part)

    def end(reason: str) -> NoReturn:
        report.waits(_started_again(reason))
        channel.last()
        os._exit(os.EX_TEMPFAIL)

    telling = asyncio.create_task(channel.run())
    try:
        return await _run(Worker(folder, name, member, report=report, stop=stop, ends=end), report)
    finally:
        telling.cancel()
        await asyncio.wait({telling})


async def _run(worker: Worker, report: StreamReport) -> int:
    try:
        await worker.run()
    except MainstemError as error:
        report.pauses(error)
        return os.EX_CONFIG
    except EngineFailed as ended:
        report.waits(_started_again(str(ended)))
        return os.EX_TEMPFAIL
    report.stopped()
    return os.EX_OK


def _started_again(reason: str) -> Unreachable:
    return Unreachable(f"the stream's engine ended and is started again: {reason}")


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 1):
        pass
    loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(LAST_S)
    os._exit(os.EX_TEMPFAIL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="mainstem.process")
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--stream", required=True)
    parser.add_argument("--part", required=True, help="its name on the board")
    parser.add_argument("--member", required=True, help="its name in the consumer group, the same for its successors")
    parser.add_argument("--reports", type=int, required=True, help="number of the pipe to the parent")
    options = parser.parse_args()
    logs.configure()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the parent's to act on
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work(options.project, options.stream, options.part, options.member, options.reports))


if __name__ == "__main__":
    sys.exit(main())
