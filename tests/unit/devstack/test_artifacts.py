from __future__ import annotations

from pathlib import Path

from mainstem.devstack.artifacts import cache_folder, locked
from mainstem.devstack.relock import lock_lines
from mainstem.devstack.versions import APICURIO, KAFKA, SCALA


def test_every_artifact_of_kafka_has_the_same_version() -> None:
    paths = [made.path for made in locked("kafka") if made.path.startswith("org/apache/kafka/")]
    assert f"org/apache/kafka/kafka_{SCALA}/{KAFKA}/kafka_{SCALA}-{KAFKA}.jar" in paths
    assert {path.split("/")[-2] for path in paths} == {KAFKA}


def test_no_library_is_there_in_two_versions() -> None:
    libraries = [made.path.rsplit("/", 2)[0] for made in locked("kafka")]
    assert len(libraries) == len(set(libraries)) == 46


def test_the_registry_is_the_version_that_the_containers_are() -> None:
    (archive,) = locked("apicurio")
    assert archive.name == f"apicurio-registry-app-{APICURIO}-all.tar.gz"


def test_every_artifact_is_pinned_by_a_checksum_and_a_size() -> None:
    for made in (*locked("kafka"), *locked("apicurio")):
        assert len(bytes.fromhex(made.sha256)) == 32
        assert made.bytes > 0


def test_a_lock_is_made_from_a_folder_in_mavens_layout(tmp_path: Path) -> None:
    (tmp_path / "org" / "x").mkdir(parents=True)
    (tmp_path / "org" / "x" / "x-1.jar").write_bytes(b"abc")
    (tmp_path / "org" / "x" / "x-1.pom").write_bytes(b"not wanted")
    assert list(lock_lines(tmp_path)) == [
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 org/x/x-1.jar"
    ]


def test_the_cache_is_where_the_user_says(tmp_path: Path) -> None:
    assert cache_folder({"MAINSTEM_CACHE": str(tmp_path)}) == tmp_path.resolve()
