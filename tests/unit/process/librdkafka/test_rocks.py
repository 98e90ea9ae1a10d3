"""What is committed on disk: after any opening it is what was written last, and says where in the changelog that is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from faust.exceptions import ImproperlyConfigured
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstem.process.librdkafka import App, rocks
from mainstem.process.librdkafka.rocks import OnDisk
from tests.thorough import examples

KEYS = st.sampled_from([b"", b"\x00position", b"\x01", b"a", b"ab"])
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=3)), max_size=4)


class OnDiskModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.disk = OnDisk(Path(self.place.name) / "part")
        self.disk.topic = "id"
        self.held: dict[bytes, bytes] = {}
        self.offset: int | None = None

    @rule(changes=CHANGES, offset=st.none() | st.integers(0, 99))
    def write(self, changes: list[tuple[bytes, bytes | None]], offset: int | None) -> None:
        self.disk.write(changes, offset)
        for key, value in changes:
            if value is None:
                self.held.pop(key, None)
            else:
                self.held[key] = value
        self.offset = self.offset if offset is None else offset

    @rule()
    def open_again(self) -> None:
        self.disk.close()
        self.disk = OnDisk(Path(self.place.name) / "part")
        self.disk.topic = "id"

    @rule()
    def clear(self) -> None:
        self.disk.clear()
        self.held, self.offset = {}, None

    @invariant()
    def holds_what_was_written(self) -> None:
        assert dict(self.disk.items()) == self.held
        assert all(self.disk.get(key) == self.held.get(key) for key in (b"", b"\x00position", b"\x01", b"a", b"ab"))

    @invariant()
    def knows_where_it_is(self) -> None:
        position = self.disk.position
        assert (position and position[:2]) == (None if self.offset is None else (self.offset, "id"))

    def teardown(self) -> None:
        self.disk.close()
        self.place.cleanup()


TestOnDisk = OnDiskModel.TestCase
TestOnDisk.settings = settings(max_examples=examples(15), stateful_step_count=15, deadline=None)


def test_what_is_read_is_as_it_was_when_the_reading_began(tmp_path: Path) -> None:
    disk = OnDisk(tmp_path / "part")
    disk.write([(b"a", b"1"), (b"b", b"2")], 1)
    entries = iter(disk.items())
    first = next(iter(entries))
    disk.write([(b"b", b"3"), (b"c", b"4")], 3)
    assert [first, *entries] == [(b"a", b"1"), (b"b", b"2")]


def test_two_do_not_open_the_same_folder(tmp_path: Path) -> None:
    first = OnDisk(tmp_path / "part")
    with pytest.raises(ImproperlyConfigured, match="in use"):
        OnDisk(tmp_path / "part")
    first.close()
    OnDisk(tmp_path / "part").close()


def test_each_partition_has_a_folder_of_its_own(tmp_path: Path) -> None:
    app = App("a", broker="librdkafka://127.0.0.1:9", store="rocksdb://", datadir=str(tmp_path))
    store = app.Table("counts").data
    for number in (0, 1):
        store.open(number).committed.write([(b"k", b"%d" % number)], None)
    assert len(list(tmp_path.rglob("counts-*.rocksdb"))) == 2
    store.leave({0, 1})
    assert store.open(1).committed.get(b"k") == b"1"
    store.leave({1})


def test_without_the_library_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocks, "rocksdict", None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'mainstem\[rocksdb\]'"):
        OnDisk(tmp_path / "part")


def test_a_file_that_is_broken_is_begun_anew(tmp_path: Path) -> None:
    disk = OnDisk(tmp_path / "part")
    disk.write([(b"a", b"1")], 1)
    disk.close()
    (manifest,) = (tmp_path / "part").glob("MANIFEST-*")
    manifest.write_bytes(b"broken")
    again = OnDisk(tmp_path / "part")
    assert (again.get(b"a"), again.position) == (None, None)
    again.close()
