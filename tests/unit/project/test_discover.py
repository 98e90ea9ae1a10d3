"""Names in a project lead to code; what is wrong with either is one line with its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mainstem.errors import FUNCTION_FAILED, MISSING_EXTRA, MISSING_SECRET, UNKNOWN_CONNECTOR, Code
from mainstem.event import Event
from mainstem.project.discover import build_sink, build_source, find_stream
from mainstem.project.findings import ProjectError
from mainstem.project.imports import available
from mainstem.project.model import Integration, Project, SinkSpec
from mainstem.sdk.secret import Secret
from tests.unit.project.conftest import Folder

ORDERS = "integrations/orders.yaml"
BELL = "connectors/bell/__init__.py"
LEDGER = "connectors/ledger/__init__.py"
NO_SINK = "the connector `ledger` has no sink: no public class of connectors/ledger is a Sink or TransactionalSink"
SINK_SETTINGS = '{dsn: "${secret:ledger_dsn}", table: line}'


def sink_refused(folder: Folder) -> ProjectError:
    with pytest.raises(ProjectError) as refused:
        folder.sink()
    return refused.value


def source_refused(folder: Folder) -> ProjectError:
    with pytest.raises(ProjectError) as refused:
        folder.source()
    return refused.value


def test_a_source_is_made_of_its_settings(folder: Folder) -> None:
    source = folder.source()
    assert type(source).__name__ == "BellSource"
    assert source.secret == Secret("whsec_bell")  # type: ignore[attr-defined]
    assert source.ring == 1  # type: ignore[attr-defined]


def test_a_sink_is_made_of_its_settings(folder: Folder) -> None:
    sink = folder.sink()
    assert sink.dsn.reveal() == "postgresql://ledger:pw@db/ledger"  # type: ignore[attr-defined]
    assert sink.table == "line"  # type: ignore[attr-defined]


def test_a_relative_path_of_a_connector_starts_at_the_project_folder(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert folder.source().file == folder.path / "data/orders.csv"  # type: ignore[attr-defined]


def test_the_stack_and_the_environment_are_asked_when_a_connector_is_built(folder: Folder) -> None:
    folder.edit(ORDERS, "${secret:ledger_dsn}", "${stack:postgres_dsn}")
    folder.edit(ORDERS, "table: line", "table: '${TABLE:journal}'")
    project = folder.load()
    with pytest.raises(ProjectError, match="the development stack is not running"):
        build_sink(project, project.sinks[0])
    folder.write(".mainstem/stack.json", '{"postgres_dsn": "postgresql://here"}')
    sink = build_sink(project, project.sinks[0])
    assert sink.dsn.reveal() == "postgresql://here"  # type: ignore[union-attr]
    assert sink.table == "journal"  # type: ignore[union-attr]


def test_a_missing_secret_is_one_line_with_its_place(folder: Folder) -> None:
    folder.remove("vault/ledger_dsn")
    refused = sink_refused(folder)
    assert refused.code is MISSING_SECRET
    assert refused.cause == "integrations/orders.yaml:16:21: the secret `ledger_dsn` is not set"
    assert refused.fix == f"set MAINSTEM_SECRET_LEDGER_DSN or write it to {folder.path}/vault/ledger_dsn"


def test_an_unknown_connector_is_told_the_nearest(folder: Folder) -> None:
    folder.edit(ORDERS, "connector: ledger", "connector: leger")
    refused = sink_refused(folder)
    assert refused.code is UNKNOWN_CONNECTOR
    assert refused.cause == "integrations/orders.yaml:13:16: no connector is called `leger`; did you mean `ledger`?"
    assert refused.fix.startswith("use one of ")
    assert "bell" in refused.fix
    assert refused.fix.endswith(", or add connectors/leger/")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{dsn: x, tabel: line}", "16:24: unknown key `tabel`; did you mean `table`?"),
        ('{dsn: "${secret:ledger_dsn}"}', "16:15: the key `table` is missing"),
        ('{dsn: "${secret:ledger_dsn}", table: 5}', "16:52: `table` must be text"),
        ('{dsn: "${secret:ledger_dsn}", table: a, fast: 7}', "16:61: `fast` must be true or false"),
        ('{dsn: "${secret:ledger_dsn}", table: a, columns: [{name: a, kind: txt}]}',
         "16:81: `columns[0].kind` is none of the values that are allowed; did you mean `text`?"),
        ('{dsn: "${secret:ledger_dsn}", table: a, columns: [{nam: a}]}',
         "16:66: unknown key `nam`; did you mean `name`?"),
        ('{dsn: "${secret:ledger_dsn}", table: "${secret:bell_key}"}',
         "16:52: `table` a secret may not stand here: the field is not one for secrets"),
        ('{dsn: "postgresql://pw@db", table: a}', "16:21: the secret `dsn` is written in clear"),
        ('{dsn: "x=${secret:ledger_dsn}", table: a}', "16:21: `${secret:ledger_dsn}` has other text around it"),
        ("[a]", "16:15: `sinks[0].settings` must be a mapping of keys to values"),
        ('{dsn: ["${secret:ledger_dsn}"], table: a}', "16:21: `dsn` must be text"),
    ],
)  # fmt: skip
def test_wrong_settings_have_their_place(folder: Folder, settings: str, message: str) -> None:
    folder.edit(ORDERS, SINK_SETTINGS, settings)
    assert f"integrations/orders.yaml:{message}" in [line.replace(": error: ", ": ") for line in folder.lint()]
    assert sink_refused(folder).cause.startswith("integrations/orders.yaml:16:")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", NO_SINK),
        ("from mainstem import Sink", NO_SINK),
        ("from mainstem import Sink\nclass _Hidden(Sink):\n    def open(self): ...", NO_SINK),
        ("from mainstem import Sink\nclass Half(Sink): ...", "`Half` of the connector `ledger` lacks `open`"),
        ("from mainstem import Sink\nclass A(Sink):\n    def open(self): ...\nclass B(A): ...",
         "the connector `ledger` has more than one sink: `A`, `B`"),
    ],
)  # fmt: skip
def test_a_connector_has_one_public_class_for_its_role(folder: Folder, code: str, message: str) -> None:
    folder.write(LEDGER, code)
    assert sink_refused(folder).cause.startswith(f"integrations/orders.yaml:13:16: {message}")


def test_a_connector_may_offer_a_source_and_a_sink(folder: Folder) -> None:
    folder.write("connectors/ledger/more.py", (folder.path / BELL).read_text())
    code = "from connectors.ledger.more import BellSource\n" + (folder.path / LEDGER).read_text()
    (folder.path / LEDGER).write_text(code)
    folder.edit(ORDERS, "connector: bell", "connector: ledger")
    assert type(folder.source()).__name__ == "BellSource"
    assert type(folder.sink()).__name__ == "LedgerSink"


def test_a_connector_may_be_one_file(folder: Folder) -> None:
    folder.write("connectors/desk.py", (folder.path / BELL).read_text())
    folder.edit(ORDERS, "connector: bell", "connector: desk")
    assert type(folder.source()).__name__ == "BellSource"


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("\nimport no_such_thing", "2:1: there is no module"
         " `no_such_thing`", MISSING_EXTRA),
        ("\n\n1 / 0", "3:1: ZeroDivisionError: division by"
         " zero", FUNCTION_FAILED),
        ("raise SystemExit(3)", "1:1: SystemExit: 3",
         FUNCTION_FAILED),
        ("raise ValueError('a\\nb')", "1:1: ValueError: a",
         FUNCTION_FAILED),
        ("from mainstem import Sourc", "1:1: ImportError:"
         " cannot import name 'Sourc' from 'mainstem'", FUNCTION_FAILED),
    ],
)  # fmt: skip
def test_code_that_cannot_be_imported_is_one_line(folder: Folder, code: str, message: str, kind: Code) -> None:
    (folder.path / BELL).write_text(code)
    refused = source_refused(folder)
    line, told = message.split(" ", 1)
    assert refused.cause.startswith(f"{BELL}:{line} `connectors.bell` cannot be imported: {told.strip()}")
    assert "\n" not in str(refused)
    assert refused.code is kind
    assert refused.__cause__ is None


def test_wrong_syntax_is_named_at_its_line(folder: Folder) -> None:
    (folder.path / BELL).write_text("x = 1\ndef f(:\n")
    assert source_refused(folder).cause.startswith(
        "connectors/bell/__init__.py:2:7: `connectors.bell` cannot be imported: invalid syntax"
    )


def test_a_validator_that_fails_is_named_and_quotes_nothing(folder: Folder) -> None:
    validator = """

        from pydantic import field_validator

        class Careless(BellSource):
            @field_validator("secret")
            @classmethod
            def check(cls, secret):
                raise KeyError(secret.reveal())
        """
    folder.write("connectors/bell/deep.py", (folder.path / BELL).read_text())
    folder.write(BELL, "from connectors.bell.deep import BellSource as _B\nBellSource = _B" + "\n")
    folder.write(
        "connectors/rude/__init__.py",
        "from connectors.bell.deep import BellSource" + validator.replace("        ", "", 1),
    )
    folder.edit(ORDERS, "connector: bell", "connector: rude")
    refused = source_refused(folder)
    assert "whsec_bell" not in str(refused)


def test_a_validators_message_does_not_tell_the_secret(folder: Folder) -> None:
    (folder.path / BELL).write_text(
        (folder.path / BELL).read_text()
        + "\n    from pydantic import field_validator as _check\n\n"
        + "    @_check('secret')\n    @classmethod\n    def sound(cls, secret):\n"
        + "        raise ValueError(f'{secret.reveal()} is no key')\n"
    )
    assert source_refused(folder).cause == "integrations/orders.yaml:8:15: `secret` *** is no key"


def test_a_validator_that_breaks_is_the_connectors_fault(folder: Folder) -> None:
    (folder.path / BELL).write_text(
        (folder.path / BELL).read_text()
        + "\n    from pydantic import field_validator as _check\n\n"
        + "    @_check('secret')\n    @classmethod\n    def sound(cls, secret):\n"
        + "        return {}[secret.reveal()]\n"
    )
    refused = source_refused(folder)
    assert refused.code is FUNCTION_FAILED
    assert refused.cause.startswith("integrations/orders.yaml:8:7: the connector `bell` failed with KeyError")
    assert "connectors/bell/__init__.py:17:" in refused.cause
    assert "whsec_bell" not in str(refused)


def test_a_stream_is_found_by_its_name(folder: Folder) -> None:
    stream = find_stream(folder.load(), "settle")
    assert (stream.name, stream.reads, stream.writes) == ("settle", "raw.till.order.v1", "shop.order_settled.v1")
    event = Event(id="1")
    assert stream(event) is event


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("setle", None, "integrations/orders.yaml:10:11: there is no streams/setle.py; did you mean `settle`?"),
        ("other", "def other(event): ...", "integrations/orders.yaml:10:11: streams/other.py has no stream `other`"),
        ("other", "x = 1", "integrations/orders.yaml:10:11: streams/other.py has no stream `other`"),
        ("other", "from mainstem import stream\n@stream(reads='a.b.v1', writes='a.c.v1', tables={'t': 'a.t.v1'})\n"
         "def other(event): ...", "streams/other.py:2:2: `streams.other` cannot be imported: TypeError: stream other:"
         " its parameters after the event are [], its tables ['t']"),
    ],
)  # fmt: skip
def test_a_stream_that_is_not_there_has_its_place(folder: Folder, name: str, code: str | None, message: str) -> None:
    if code:
        folder.write(f"streams/{name}.py", code)
    folder.edit(ORDERS, "[settle]", f"[{name}]")
    with pytest.raises(ProjectError) as refused:
        find_stream(folder.load(), name)
    assert refused.value.cause == message


def test_the_folders_code_merges_with_what_is_installed(folder: Folder) -> None:
    assert {"bell", "ledger", "webhook", "postgres"} <= set(available(folder.path, "connectors"))


def test_the_folder_is_put_on_the_path_once_and_last(folder: Folder) -> None:
    folder.source()
    folder.sink()
    assert sys.path.count(str(folder.path)) == 1
    assert sys.path[-1] == str(folder.path)


def test_a_folder_cannot_stand_in_for_the_standard_library(folder: Folder) -> None:
    folder.write("colorsys.py", "raise SystemExit('hijacked')")
    (folder.path / BELL).write_text("import colorsys\n" + (folder.path / BELL).read_text())
    sys.modules.pop("colorsys", None)
    assert type(folder.source()).__name__ == "BellSource"


def test_a_folder_that_an_installed_connector_hides_is_refused(folder: Folder) -> None:
    folder.write("connectors/webhook/__init__.py", (folder.path / BELL).read_text())
    folder.edit(ORDERS, "connector: bell", "connector: webhook")
    assert source_refused(folder).cause == (
        "integrations/orders.yaml:5:16: `connectors/webhook` is hidden by an installed module of that name"
    )


def test_a_part_that_was_made_in_python_is_built_and_named_without_lines(folder: Folder) -> None:
    sink = SinkSpec(
        name="ledger", connector="ledger", topics=("a.b.v1",), settings={"dsn": "${secret:nope}", "table": "t"}
    )
    made = Integration(name="orders", owner="me", sinks=(sink,))
    project = Project(
        folder=folder.path, name="shop", kafka={"bootstrap": "a"}, registry={"url": "http://b"}, integrations=(made,)
    )
    with pytest.raises(ProjectError) as refused:
        build_sink(project, project.sinks[0])
    assert refused.value.cause == "orders.ledger: the secret `nope` is not set"


def test_the_demo_company_is_a_sound_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code and its settings; the secrets are the demo's own business."""
    from mainstem.project.load import load  # noqa: PLC0415

    root = Path(__file__).parents[3]
    environ = {
        "MAINSTEM_SECRET_TILL_SIGNING": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "MAINSTEM_SECRET_ACCOUNTING_DSN": "x",
    }
    project = load(root, environ=environ, offline=True)
    assert find_stream(project, "settle_payments").tables == {"products": "raw.catalog.product.v1"}
    assert [type(build_source(project, spec)).__name__ for spec in project.sources] == ["WebhookSource", "FileSource"]
