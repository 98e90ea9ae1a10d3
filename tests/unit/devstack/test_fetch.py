from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from mainstem.devstack import fetch as fetching
from mainstem.devstack.artifacts import Artifact
from mainstem.devstack.fetch import Cancelled, fetch, unpack
from mainstem.devstack.progress import Advance
from mainstem.errors import DOWNLOAD_FAILED, Unreachable

CONTENT = bytes(range(256)) * 4096
ARTIFACT = Artifact("org/x/1/x-1.jar", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@dataclass
class Repository:
    """A repository that misbehaves as told: each request takes the next of `answers`, or serves the file."""

    url: str = ""
    answers: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


@dataclass
class Meter:
    """Counts what a download reports."""

    received: int = 0

    def step(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def download(self, name: str, total_bytes: int) -> AbstractContextManager[Advance]:
        return nullcontext(self.count)

    def count(self, received: int) -> None:
        self.received += received


def serve(handler: BaseHTTPRequestHandler) -> None:
    asked = handler.headers.get("Range")
    first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    handler.send_response(206 if asked else 200)
    handler.send_header("Content-Length", str(len(CONTENT) - first))
    handler.end_headers()
    handler.wfile.write(CONTENT[first:])


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:300_000])


def damage(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(b"x" * len(CONTENT))


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def busy(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(503)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    made = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.ranges.append(self.headers.get("Range"))
            (made.answers.pop(0) if made.answers else serve)(self)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MAINSTEM_MAVEN_URL", made.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(fetching, "FIRST_PAUSE_S", 0)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        server.shutdown()


def fetched(cache: Path, meter: Meter | None = None, cancelled: Event | None = None) -> Path:
    (file,) = fetch("X", [ARTIFACT], cache, meter or Meter(), cancelled or Event())
    return file


def test_an_artifact_arrives_whole_and_every_byte_is_reported(repository: Repository, tmp_path: Path) -> None:
    meter = Meter()
    assert fetched(tmp_path, meter).read_bytes() == CONTENT
    assert meter.received == len(CONTENT)


def test_what_is_there_is_not_asked_for_again(repository: Repository, tmp_path: Path) -> None:
    fetched(tmp_path)
    fetched(tmp_path)
    assert len(repository.ranges) == 1


def test_a_cut_download_goes_on_where_it_stopped(repository: Repository, tmp_path: Path) -> None:
    repository.answers = [cut]
    meter = Meter()
    assert fetched(tmp_path, meter).read_bytes() == CONTENT
    assert repository.ranges == [None, "bytes=300000-"]
    assert meter.received == len(CONTENT)


def test_a_damaged_download_is_thrown_away_and_tried_again(repository: Repository, tmp_path: Path) -> None:
    repository.answers = [damage]
    meter = Meter()
    assert fetched(tmp_path, meter).read_bytes() == CONTENT
    assert meter.received == len(CONTENT)


def test_a_file_that_is_never_what_was_pinned_is_refused_and_not_kept(repository: Repository, tmp_path: Path) -> None:
    repository.answers = [damage, damage, damage]
    with pytest.raises(Unreachable) as refused:
        fetched(tmp_path)
    assert refused.value.code is DOWNLOAD_FAILED
    assert "checksum differs" in refused.value.cause
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_busy_repository_is_asked_three_times(repository: Repository, tmp_path: Path) -> None:
    repository.answers = [busy, busy, busy]
    with pytest.raises(Unreachable, match=r"x-1\.jar: 127\.0\.0\.1 answers 503"):
        fetched(tmp_path)
    assert len(repository.ranges) == 3


def test_a_file_that_does_not_exist_is_asked_for_once(repository: Repository, tmp_path: Path) -> None:
    repository.answers = [missing]
    with pytest.raises(Unreachable, match="404"):
        fetched(tmp_path)
    assert len(repository.ranges) == 1


def test_a_start_that_is_given_up_stops_its_downloads(repository: Repository, tmp_path: Path) -> None:
    cancelled = Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        fetched(tmp_path, cancelled=cancelled)


def test_an_archive_is_unpacked_as_a_whole_and_removed(tmp_path: Path) -> None:
    (tmp_path / "run.jar").write_bytes(b"jar")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "run.jar", "lib/run.jar")
    (tmp_path / "x.part").mkdir()
    (tmp_path / "x.part" / "half").touch()
    assert (unpack(tmp_path / "x.tar.gz", tmp_path / "x") / "lib" / "run.jar").read_bytes() == b"jar"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.jar", "x"]
    assert not (tmp_path / "x" / "half").exists()
