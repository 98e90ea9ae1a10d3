"""The demo project with a plain sink that posts to a server of the test, in the place of its SQL sink."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem import devstack
from mainstem.app.services import Services
from tests import posting_connector
from tests.demo_copy import DemoCopy, copy_demo
from tests.http_target import HttpTarget

POSTGRES = """    settings:
      dsn: "${secret:accounting_dsn}"
      table: journal_line
      key: [payment_id, line_no]
      replace_by: payment_id
"""


def give_plain_sink(copy: DemoCopy, connector: str, source: str, settings: str) -> None:
    """The demo's sink becomes this connector, which is written into the project's folder."""
    name = f"{connector}_{copy.tag}"
    folder = copy.folder / "connectors" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)
    yaml = f"integrations/{copy.integration}.yaml"
    copy.edit(yaml, "connector: postgres", f"connector: {name}")
    copy.edit(yaml, POSTGRES, f"    settings: {{{settings}}}\n")


@pytest.fixture
def target(free_port: int) -> Iterator[HttpTarget]:
    with HttpTarget(free_port) as target:
        yield target


@pytest.fixture
def posting(tmp_path: Path, stack: devstack.Stack, target: HttpTarget) -> DemoCopy:
    copy = copy_demo(tmp_path, stack)
    source = Path(posting_connector.__file__).read_text()
    give_plain_sink(copy, "posting", source, f"url: '{target.url}', timeout_s: 2")
    return copy


@pytest.fixture
def posting_services(posting: DemoCopy) -> Iterator[Services]:
    with posting.services() as connected:
        yield connected
