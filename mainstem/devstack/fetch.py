"""Downloads, checked and kept: a file under its own name in the cache is whole, always."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from threading import Event

from mainstem.devstack.artifacts import Artifact
from mainstem.devstack.progress import Advance, Progress
from mainstem.devstack.transport import TIMEOUT_S, is_lasting, opener, reason, repository
from mainstem.errors import DOWNLOAD_FAILED, Unreachable

TRIES = 3
FIRST_PAUSE_S = 0.5
AT_ONCE = 6
CHUNK_BYTES = 256 * 1024


class Cancelled(Exception):
    """The start is being given up: another part of it failed, or the user interrupted it."""


def fetch(title: str, artifacts: Sequence[Artifact], cache: Path, progress: Progress, cancelled: Event) -> list[Path]:
    """The artifacts as files below `cache`, in their order; downloads those that are missing.

    The caller holds a lock on the cache. Raises `Unreachable` (DOWNLOAD_FAILED) after three tries, and `Cancelled` soon
    after `cancelled` is set.
    """
    files = [cache / "maven" / artifact.path for artifact in artifacts]
    if all(file.exists() for file in files):
        return files
    missing = [(artifact, file) for artifact, file in zip(artifacts, files, strict=True) if not file.exists()]
    total_bytes = sum(artifact.bytes for artifact, _ in missing)
    with progress.download(title, total_bytes) as advance, ThreadPoolExecutor(AT_ONCE) as pool:
        source = Source(repository(), opener(), advance, cancelled)
        # Taking the first failure's result cancels the downloads that have not begun.
        list(pool.map(lambda pair: source.fetch(*pair), missing))
    return files


def unpack(archive: Path, folder: Path) -> Path:
    """`folder`, filled from a tar archive (which is then removed) as a whole or not at all."""
    partial = folder.with_name(folder.name + ".part")
    rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # Python 3.11.4 and newer have it and want it; the archive's checksum is pinned either way.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(partial)  # noqa: S202
    partial.rename(folder)
    archive.unlink()
    return folder


@dataclass(frozen=True, slots=True)
class Source:
    """Where one round of downloads comes from."""

    url: str
    opener: urllib.request.OpenerDirector
    advance: Advance
    cancelled: Event

    def fetch(self, artifact: Artifact, file: Path) -> None:
        """Downloads one artifact to `file`; what arrived before a failure is kept, the next try goes on from there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(file.name + ".part")
        if partial.exists():
            self.advance(partial.stat().st_size)
        for tried in range(1, TRIES + 1):
            failure = self._try(artifact, partial)
            if failure is None:
                partial.replace(file)
                return
            if failure.lasting or tried == TRIES:
                raise Unreachable(f"{artifact.name}: {failure.reason}", code=DOWNLOAD_FAILED) from failure.error
            if self.cancelled.wait(FIRST_PAUSE_S * 4 ** (tried - 1)):
                raise Cancelled

    def _try(self, artifact: Artifact, partial: Path) -> Failure | None:
        url = f"{self.url}/{artifact.path}"
        try:
            self._receive(url, partial, artifact.bytes)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return Failure(reason(error, url), is_lasting(error), error)
        if partial.stat().st_size < artifact.bytes:
            return Failure("the connection was closed early", lasting=False)
        if _sha256(partial) == artifact.sha256:
            return None
        self.advance(-partial.stat().st_size)
        partial.unlink()
        return Failure("what arrived is not what was pinned (its checksum differs)", lasting=False)

    def _receive(self, url: str, partial: Path, total_bytes: int) -> None:
        have = partial.stat().st_size if partial.exists() else 0
        if have >= total_bytes:
            return
        asked = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - ours
        with self.opener.open(asked, timeout=TIMEOUT_S) as answer:
            resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            if not resumed:
                self.advance(-have)
            with partial.open("ab" if resumed else "wb") as out:
                while chunk := answer.read(CHUNK_BYTES):
                    if self.cancelled.is_set():
                        raise Cancelled
                    out.write(chunk)
                    self.advance(len(chunk))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one try did not succeed, and whether another could."""

    reason: str
    lasting: bool
    error: Exception | None = None


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
