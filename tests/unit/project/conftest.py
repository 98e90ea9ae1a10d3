"""A small project in a temporary folder, sound as it stands; each test breaks what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from mainstem.project import imports
from mainstem.project.discover import build_sink, build_source
from mainstem.project.findings import ProjectError
from mainstem.project.lint import lint
from mainstem.project.load import load
from mainstem.project.model import Project
from mainstem.sdk.settings import Settings

FILES = {
    "mainstem.yaml": """\
        project: shop
        kafka:
          bootstrap: "kafka:9092"
        registry:
          url: "http://registry:8081"
        secrets:
          backend: file
          folder: vault
        """,
    "integrations/orders.yaml": """\
        integration: orders
        owner: shop-team
        sources:
          - name: bell
            connector: bell
            topic: raw.till.order.v1
            settings:
              secret: "${secret:bell_key}"
              file: data/orders.csv
        streams: [settle]
        sinks:
          - name: ledger
            connector: ledger
            topics: [shop.order_settled.v1]
            map: orders:lines
            settings: {dsn: "${secret:ledger_dsn}", table: line}
            delivery: {on_failure: park}
        """,
    "integrations/orders.py": """\
        def lines(event):
            yield {"id": event.data["id"]}
        """,
    "connectors/bell/__init__.py": """\
        from pathlib import Path
        from mainstem import Event, PushSource, Request, Secret

        class BellSource(PushSource):
            secret: Secret
            file: Path = Path("none")
            ring: int = 1

            async def receive(self, request: Request) -> list[Event]:
                return []
        """,
    "connectors/ledger/__init__.py": """\
        from contextlib import asynccontextmanager
        from typing import Literal
        from mainstem import Secret, Settings, Sink

        class Column(Settings):
            name: str
            kind: Literal["text", "number"] = "text"

        class LedgerSink(Sink):
            dsn: Secret
            table: str
            columns: list[Column] = []
            fast: bool = False

            def open(self):
                raise NotImplementedError
        """,
    "streams/settle.py": """\
        from mainstem import stream

        @stream(reads="raw.till.order.v1", writes="shop.order_settled.v1")
        def settle(event):
            return event
        """,
    "schemas/raw/till/order.v1.avsc": """\
        {"type": "record", "namespace": "raw.till", "name": "order", "fields": [{"name": "id", "type": "string"}]}
        """,
    "schemas/shop/order_settled.v1.avsc": """\
        {"type": "record", "namespace": "shop", "name": "order_settled", "fields": [
          {"name": "id", "type": "string"},
          {"name": "buyer", "type": ["null", {"type": "record", "name": "buyer", "fields": [
            {"name": "city", "type": "string"}, {"name": "twin", "type": ["null", "buyer"]}]}]},
          {"name": "tags", "type": {"type": "map", "values": "string"}}
        ]}
        """,
}


class Folder:
    """A project folder whose files are changed one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ: dict[str, str] = {}
        for name, text in FILES.items():
            self.write(name, text)
        self.secret("bell_key", "whsec_bell")
        self.secret("ledger_dsn", "postgresql://ledger:pw@db/ledger")

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces text that is there exactly once."""
        text = (self.path / name).read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        (self.path / name).write_text(text.replace(old, new))

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def secret(self, name: str, value: str) -> None:
        self.write(f"vault/{name}", value)
        (self.path / "vault" / name).chmod(0o600)

    def load(self, *, flags: Mapping[str, str] | None = None, offline: bool = False) -> Project:
        return load(self.path, flags=flags or {}, environ=self.environ, offline=offline)

    def lint(self) -> list[str]:
        """Each finding as `place: severity: message`."""
        return [f"{found.place}: {found.severity}: {found.message}" for found in lint(self.path, environ=self.environ)]

    def source(self) -> Settings:
        project = self.load()
        return build_source(project, project.sources[0])

    def sink(self) -> Settings:
        project = self.load()
        return build_sink(project, project.sinks[0])

    def refusal(self) -> str:
        """What `load` refuses the folder with."""
        with pytest.raises(ProjectError) as refused:
            self.load()
        return refused.value.cause


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path.resolve())
    yield made
    imports.forget(made.path)
