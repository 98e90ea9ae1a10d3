"""A canary: whatever is done with a project, a secret's value never comes out in text."""

from __future__ import annotations

import contextlib
import json
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mainstem.errors import MainstemError
from mainstem.project.discover import build_sink, build_source
from mainstem.project.lint import lint
from mainstem.project.origins import settings
from tests.unit.project.conftest import Folder

CANARY = "canary-7f3a"
ORDERS = "integrations/orders.yaml"


def said(folder: Folder) -> str:
    """All text that can be got out of a project."""
    texts: list[Any] = [*lint(folder.path, environ=folder.environ), *settings(folder.path, environ=folder.environ)]
    with _caught(texts):
        project = folder.load()
        texts += [project, project.references, project.model_dump_json(exclude={"integrations"})]
        builds = (partial(build_source, project, project.sources[0]), partial(build_sink, project, project.sinks[0]))
        for build in builds:
            with _caught(texts):
                made: Any = build()
                texts += [made, made.model_dump(), made.model_dump_json(), pickle.dumps(made.model_dump())]
    return "\n".join(f"{text} {text!r}" for text in texts)


@contextlib.contextmanager
def _caught(texts: list[Any]) -> Any:
    try:
        yield
    except MainstemError as problem:
        texts += [problem, "".join(traceback.format_exception(problem)), vars(problem)]


def _nothing(folder: Folder) -> None:
    """The sound project."""


def _wrong_type(folder: Folder) -> None:
    folder.edit(ORDERS, "table: line", 'table: "${secret:ledger_dsn}"')


def _unknown_key(folder: Folder) -> None:
    folder.edit(ORDERS, "{dsn:", "{dns:")


def _in_a_list(folder: Folder) -> None:
    folder.edit(ORDERS, '{dsn: "${secret:ledger_dsn}"', '{dsn: ["${secret:ledger_dsn}"]')


def _in_clear(folder: Folder) -> None:
    folder.edit(ORDERS, "${secret:ledger_dsn}", CANARY)


def _in_clear_with_a_dollar(folder: Folder) -> None:
    folder.edit(ORDERS, "${secret:ledger_dsn}", f"x${{{CANARY}")


def _in_clear_like_a_reference(folder: Folder) -> None:
    folder.edit(ORDERS, "${secret:ledger_dsn}", f"${{{CANARY}}}")


def _in_clear_where_a_number_belongs(folder: Folder) -> None:
    folder.edit(ORDERS, "on_failure: park", f"on_failure: {CANARY}")


def _as_an_alias(folder: Folder) -> None:
    folder.edit(ORDERS, '"${secret:ledger_dsn}"', f"*{CANARY}")


def _as_a_tag(folder: Folder) -> None:
    folder.edit(ORDERS, '"${secret:ledger_dsn}"', f"!{CANARY} x")


def _in_kafka(folder: Folder) -> None:
    folder.edit("mainstem.yaml", "kafka:\n", f"kafka:\n  sasl_password: {CANARY}\n")


def _by_variable(folder: Folder) -> None:
    folder.environ["MAINSTEM_KAFKA__SASL_PASSWORD"] = CANARY
    folder.environ["MAINSTEM_REGISTRY__URL"] = f"http://me:{CANARY}@registry"


def _validator_that_tells(folder: Folder) -> None:
    code = (folder.path / "connectors/ledger/__init__.py").read_text()
    code = code.replace("class LedgerSink(Sink):", "from pydantic import model_validator\n\nclass LedgerSink(Sink):")
    code += "\n    @model_validator(mode='after')\n    def tell(self):\n"
    code += "        raise ValueError('bad ' + self.dsn.reveal())\n"
    (folder.path / "connectors/ledger/__init__.py").write_text(code)


def _validator_that_breaks(folder: Folder) -> None:
    _validator_that_tells(folder)
    folder.edit("connectors/ledger/__init__.py", "ValueError", "KeyError")


@pytest.mark.parametrize(
    "break_it",
    [
        _nothing, _wrong_type, _unknown_key, _in_a_list, _in_clear, _in_clear_with_a_dollar, _in_clear_like_a_reference,
        _in_clear_where_a_number_belongs, _as_an_alias, _as_a_tag, _in_kafka, _by_variable, _validator_that_tells,
        _validator_that_breaks,
    ],
)  # fmt: skip
def test_a_secret_never_comes_out_in_text(folder: Folder, break_it: Callable[[Folder], None]) -> None:
    folder.secret("ledger_dsn", CANARY)
    folder.secret("bell_key", CANARY)
    break_it(folder)
    assert CANARY not in said(folder)


def test_the_canary_would_be_seen(folder: Folder) -> None:
    folder.secret("ledger_dsn", CANARY)
    sink: Any = folder.sink()
    assert sink.dsn.reveal() == CANARY
    assert json.loads(sink.model_dump_json())["dsn"] == "***"
