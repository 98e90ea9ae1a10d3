"""A project folder becomes one model; what is wrong with it is said in one line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mainstem.errors import BAD_PROJECT, MISSING_SECRET, STACK_NOT_RUNNING, Misconfigured
from mainstem.project.findings import ProjectError
from mainstem.project.load import load
from tests.unit.project.conftest import Folder

ORDERS = "integrations/orders.yaml"


def test_a_sound_folder_is_one_model(folder: Folder) -> None:
    project = folder.load()
    (orders,) = project.integrations
    assert (project.name, project.folder, project.kafka.bootstrap) == ("shop", folder.path, "kafka:9092")
    assert (orders.name, orders.owner, orders.streams) == ("orders", "shop-team", ("settle",))
    assert [source.topic for source in project.sources] == ["raw.till.order.v1"]
    assert sorted(project.schemas) == ["raw.till.order.v1", "shop.order_settled.v1"]
    assert project.schemas["shop.order_settled.v1"].event_type == "shop.order_settled"


def test_a_sink_knows_its_topics_and_its_group(folder: Folder) -> None:
    (sink,) = folder.load().sinks
    assert (sink.integration, sink.group) == ("orders", "mainstem.orders.ledger")
    assert (sink.dead_letters, sink.redrive) == ("orders.ledger.dlq", "orders.ledger.redrive")
    assert (sink.delivery.on_failure, sink.delivery.retry.attempts, sink.batch.max_records) == ("park", 8, 5_000)


def test_parts_are_found_by_name(folder: Folder) -> None:
    project = folder.load()
    orders = project.integration("orders")
    assert orders is not None
    assert orders.sink("ledger") is project.sinks[0]
    assert orders.source("bell") is project.sources[0]
    assert (orders.sink("bell"), orders.source("ledger"), project.integration("other")) == (None, None, None)
    assert project.streams == ("settle",)


def test_nothing_of_the_model_can_be_changed(folder: Folder) -> None:
    project = folder.load()
    with pytest.raises(ValidationError):
        project.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        project.sinks[0].delivery.retry.attempts = 1  # type: ignore[misc]


def test_loading_runs_none_of_the_projects_code(folder: Folder) -> None:
    for name in ("connectors/bell/__init__.py", "streams/settle.py", "integrations/orders.py"):
        folder.write(name, "raise SystemExit('ran')")
    assert folder.load().name == "shop"


def test_integrations_come_in_the_order_of_their_files(folder: Folder) -> None:
    folder.write("integrations/a.yaml", "integration: zoo\nowner: me\n")
    assert [made.name for made in folder.load().integrations] == ["zoo", "orders"]


def test_relative_paths_start_at_the_project_folder(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.edit("mainstem.yaml", "kafka:\n", "kafka:\n  ssl_ca_location: certs/ca.pem\n  security_protocol: SSL\n")
    monkeypatch.chdir("/")
    project = folder.load()
    assert project.kafka.ssl_ca_location == folder.path / "certs/ca.pem"
    assert project.secrets.folder == folder.path / "vault"


def test_a_folder_without_a_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as refused:
        load(tmp_path, environ={})
    assert refused.value.cause == f"mainstem.yaml: there is no project in {tmp_path.resolve()}"
    assert refused.value.code is BAD_PROJECT


MINIMAL = "project: shop\n"


def test_the_least_project_uses_its_development_stack(folder: Folder) -> None:
    folder.write("mainstem.yaml", MINIMAL)
    folder.write(".mainstem/stack.json", '{"bootstrap": "127.0.0.1:1", "registry_url": "http://127.0.0.1:2"}')
    project = folder.load()
    assert (project.kafka.bootstrap, project.registry.url) == ("127.0.0.1:1", "http://127.0.0.1:2")


def test_without_a_running_stack_it_names_the_command_that_starts_one(folder: Folder) -> None:
    folder.edit("mainstem.yaml", '"kafka:9092"', '"${stack:bootstrap}"')
    with pytest.raises(Misconfigured) as refused:
        folder.load()
    assert refused.value.code is STACK_NOT_RUNNING
    assert str(refused.value) == (
        "MS-213 mainstem.yaml:3:14: the development stack is not running "
        "(fix: start it with `mainstem dev`, or set the value itself)"
    )


def test_offline_a_stack_that_does_not_run_leads_nowhere(folder: Folder) -> None:
    folder.write("mainstem.yaml", MINIMAL)
    project = folder.load(offline=True)
    assert project.kafka.bootstrap == "mainstem-dev-is-not-running.invalid:9092"
    assert project.registry.url == "http://mainstem-dev-is-not-running.invalid"


def test_what_is_wrong_in_the_files_is_said_before_what_is_missing_outside(folder: Folder) -> None:
    folder.write("mainstem.yaml", MINIMAL)
    folder.edit(ORDERS, "owner", "ownr")
    assert folder.refusal().startswith("integrations/orders.yaml")


def test_a_password_of_kafka_that_is_not_set_is_missing(folder: Folder) -> None:
    login = (
        "security_protocol: SASL_SSL\n  sasl_mechanism: PLAIN\n  sasl_username: me\n  sasl_password: ${secret:kafka}\n"
    )
    folder.edit("mainstem.yaml", "kafka:\n", f"kafka:\n  {login}")
    with pytest.raises(Misconfigured) as refused:
        folder.load()
    assert refused.value.code is MISSING_SECRET
    assert refused.value.cause == "mainstem.yaml:6:18: the secret `kafka` is not set"
    folder.secret("kafka", "hunter2")
    assert folder.load().kafka.client_properties()["sasl.password"] == "hunter2"


def test_connectors_secrets_are_not_needed_to_load(folder: Folder) -> None:
    folder.remove("vault/bell_key")
    assert folder.load().name == "shop"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("streams:", "stream:", "10:1: unknown key `stream`; did you mean `streams`?"),
        ("owner:", "zzz:", "2:1: unknown key `zzz`"),
        ("    topic: raw", "    tpoic: raw", "6:5: unknown key `tpoic`; did you mean `topic`?"),
        ("on_failure", "on_failur", "17:16: unknown key `on_failur`; did you mean `on_failure`?"),
        ("owner: shop-team\n", "", "1:1: the key `owner` is missing"),
        ("  - name: ledger\n    connector: ledger", "  - name: ledger",
         "12:5: the key `connector` is missing"),
        ("park", "parc", "17:28: `sinks[0].delivery.on_failure` is none of the values that are"
         " allowed; did you mean `park`?"),
        ("on_failure: park", "retry: {attempts: many}",
         "17:34: `sinks[0].delivery.retry.attempts` must be a whole number"),
        ("on_failure: park", "retry: {attempts: 1.5}",
         "17:34: `sinks[0].delivery.retry.attempts` must be a valid integer, got a number with a"
         " fractional part"),
        ("on_failure: park", "retry: {attempts: 0}",
         "17:34: `sinks[0].delivery.retry.attempts` must be greater than or equal to 1"),
        ("on_failure: park", "retry: {attempts: true}",
         "17:34: `sinks[0].delivery.retry.attempts` must be a whole number"),
        ("on_failure: park", "retry: {first_s: 9, max_s: 1}",
         "17:23: `sinks[0].delivery.retry` max_s is less than first_s"),
        ("{on_failure: park}", "park",
         "17:15: `sinks[0].delivery` must be a mapping of keys to values"),
        ("[shop.order_settled.v1]", "shop.order_settled.v1",
         "14:13: `sinks[0].topics` must be a list"),
        ("[shop.order_settled.v1]", "[]",
         "14:13: `sinks[0].topics` must not be empty"),
        ("map: orders:lines", "map: [a]",
         "15:10: `sinks[0].map` must be text or a mapping of keys to values"),
        ("shop-team", "17", "2:8: `owner` must be text"),
        ("owner: shop-team", "owner:", "2:1: `owner` must be text"),
        ("integration: orders", "integration: Orders!",
         "1:14: `integration` is not a name: it takes lower-case letters and digits, with single"
         " hyphens or underscores between them"),
        ("integration: orders", "name: orders", "1:1: unknown key `name`"),
        ("[settle]", "[set-tle]",
         "10:11: `streams[0]` is not a name: it takes lower-case letters, digits and underscores,"
         " as a Python module does"),
        ("topic: raw.till.order.v1", "topic: raw.till.Order.v1",
         "6:12: `sources[0].topic` is not the name of a topic: a topic is"
         " <domain>.<fact_or_entity>.v<major> in lower case, with underscores and no hyphens"),
        ("topic: raw.till.order.v1", "topic: raw.till.order",
         "6:12: `sources[0].topic` is not the name of a topic: it does not end in its version"),
        ("topic: raw.till.order.v1", "topic: raw.till.ordr.v1",
         "6:12: the topic `raw.till.ordr.v1` has no schema; did you mean `raw.till.order.v1`?"),
        ("[shop.order_settled.v1]", "[shop.order_settled.v1, nobody.knows.v1]",
         "14:37: the topic `nobody.knows.v1` has no schema"),
        ("  - name: ledger", "  - name: bell", "12:11: the name `bell` is taken on line 4"),
        ("  - name: ledger", "  - name: sources",
         "12:11: a sink cannot be called `sources`: its group would be that of the integration's sources"),
        ("[settle]", "[settle, settle]", "10:19: the stream `settle` is here twice"),
        ("shop-team", "${OWNER}", "2:8: the environment variable OWNER is not set"),
        ("shop-team", "${secret:bell_key}",
         "2:8: `owner` a secret may not stand here: the field is not one for secrets"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_integration_has_its_place(folder: Folder, old: str, new: str, message: str) -> None:
    folder.edit(ORDERS, old, new)
    assert f"{ORDERS}:{message}" in _errors(folder)
    assert folder.refusal() in _errors(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("project: shop", "projekt: shop", "1:1: unknown key `projekt`; did you mean `project`?"),
        ("bootstrap", "bootstraps", "3:3: unknown key `bootstraps`; did you mean `bootstrap`?"),
        ('"http://registry:8081"', "registry",
         "5:8: `registry.url` is not an http:// or https:// address without user and password"),
        ("backend: file", "backend: vault", "7:12: `secrets.backend` is none of the values that are allowed"),
        ("kafka:\n", "kafka:\n  security_protocol: SASL_SSL\n",
         "3:3: `kafka` security_protocol SASL_SSL needs sasl_mechanism, sasl_username, sasl_password"),
        ("kafka:\n", "kafka:\n  sasl_username: me\n",
         "3:3: `kafka` security_protocol PLAINTEXT does not take sasl_username"),
        ("registry:\n", "registry:\n  username: me\n", "5:3: `registry` username and password go together"),
        ("kafka:\n", "kafka:\n  sasl_password: hunter2\n",
         "3:18: the secret `sasl_password` is written in clear"),
        ("kafka:\n", "kafka:\n  plugin.library.paths: evil\n", "3:3: unknown key `plugin.library.paths`"),
        ("project: shop", "project: shop\ngateway: {port: 70000}",
         "2:17: `gateway.port` must be less than or equal to 65535"),
        ("project: shop", "project: shop\ngateway: {api_keys: [{name: a, sha256: abc, topics: []}]}",
         "2:40: `gateway.api_keys[0].sha256` is not a SHA-256 in 64 hexadecimal digits, lower case"),
        ("project: shop", "project: shop\ndefaults: {partitions: 0}",
         "2:24: `defaults.partitions` must be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_project_file_has_its_place(folder: Folder, old: str, new: str, message: str) -> None:
    folder.edit("mainstem.yaml", old, new)
    assert f"mainstem.yaml:{message}" in _errors(folder)
    assert folder.refusal() in _errors(folder)


def test_the_fix_of_an_unknown_key_lists_the_known_ones(folder: Folder) -> None:
    folder.edit("mainstem.yaml", "backend: file", "backnd: file")
    with pytest.raises(ProjectError) as refused:
        folder.load()
    assert refused.value.fix == "the keys here are backend, folder"


def test_the_fix_of_a_missing_key_says_what_it_means(folder: Folder) -> None:
    folder.edit(ORDERS, "owner: shop-team\n", "")
    with pytest.raises(ProjectError) as refused:
        folder.load()
    assert refused.value.fix == "add `owner`: The team that is asked when it fails."


def test_an_integrations_name_is_taken_once(folder: Folder) -> None:
    folder.write("integrations/later.yaml", "# comment\nintegration: orders\nowner: me\n")
    assert (
        folder.refusal() == "integrations/orders.yaml:1:14: the integration `orders` is also in integrations/later.yaml"
    )


def test_names_that_kafka_cannot_tell_apart_are_refused(folder: Folder) -> None:
    folder.write(
        "schemas/shop/order/settled.v1.avsc",
        '{"type": "record", "namespace": "shop.order", "name": "settled", "fields": []}',
    )
    assert folder.refusal().endswith(
        "Kafka refuses the topic `shop.order_settled.v1` beside `shop.order.settled.v1`:"
        " its metrics cannot tell them apart"
    )


@pytest.mark.parametrize("text", ["", "[]", "text", "- a"])
def test_a_file_that_is_no_mapping_is_refused(folder: Folder, text: str) -> None:
    folder.write("mainstem.yaml", text)
    assert folder.refusal() == "mainstem.yaml:1:1: must be a mapping of keys to values"
    folder.write("mainstem.yaml", MINIMAL)
    folder.write(ORDERS, text)
    assert f"{ORDERS}:1:1: must be a mapping of keys to values" in _errors(folder)


def test_a_variable_may_stand_for_a_number(folder: Folder) -> None:
    folder.edit("mainstem.yaml", "project: shop", 'project: shop\ngateway: {port: "${PORT:8421}"}')
    assert folder.load().gateway.port == 8421
    folder.environ["PORT"] = "9000"
    assert folder.load().gateway.port == 9000


def _errors(folder: Folder) -> list[str]:
    return [line.replace(": error: ", ": ", 1) for line in folder.lint() if ": error: " in line]
