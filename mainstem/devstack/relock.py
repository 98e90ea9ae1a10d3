"""Writes a lock file from a folder in Maven's repository layout; for maintainers who raise a version.

    mvn dependency:copy-dependencies -Dmdep.useRepositoryLayout=true -DoutputDirectory=jars
    python -m mainstem.devstack.relock jars > mainstem/devstack/kafka.lock

The pom that this runs in depends on `org.apache.kafka:kafka_2.13` and `org.apache.logging.log4j:log4j-slf4j-impl` (the
newest that binds SLF4J 1.7). Maven checks what it downloads against the repository's own checksums.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path


def lock_lines(repository: Path) -> Iterator[str]:
    """One line for each archive below `repository`, sorted by path: sha256, bytes, path."""
    for file in sorted(repository.rglob("*")):
        if file.name.endswith((".jar", ".tar.gz")):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            yield f"{digest} {file.stat().st_size} {file.relative_to(repository).as_posix()}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lock_lines(Path(sys.argv[1])))
