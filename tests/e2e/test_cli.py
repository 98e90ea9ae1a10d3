"""The operators' commands on a backbone that runs, and what nobody may find in anything that it says."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from mainstem.codec import headers as h
from mainstem.devstack import Stack
from mainstem.flow import dead_letter as dl
from mainstem.kafka.reader import reading
from mainstem.testing.payment_provider import Basket, PaymentProvider, sign
from tests.backbone_process import BackboneProcess, until
from tests.demo_copy import TILL_SECRET, DemoCopy, copy_demo

pytestmark = pytest.mark.stack

HOUSEHOLD = f"household-{uuid.uuid4().hex}"
STORE = f"store-{uuid.uuid4().hex}"
PRICE = "271828.18"
PASSWORD = secrets.token_hex(16)
PRODUCTS = "product_id,department\n1,GROCERY\n2,SPIRITS\n"
GOOD = 12


@dataclass
class Live:
    """A running copy of the demo, with everything that its commands have printed."""

    demo: DemoCopy
    backbone: BackboneProcess
    baskets: dict[str, str]
    """Ids of baskets, by what is special about them."""
    printed: list[str] = field(default_factory=list)

    @property
    def sink(self) -> str:
        return f"{self.demo.integration}.journal"

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        result = self.backbone.command(*arguments)
        self.printed += [result.stdout, result.stderr]
        assert result.returncode == code, (arguments, result.stdout, result.stderr)
        return result.stdout, result.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-o", "json")[0])

    def event_id(self, what: str) -> str:
        return f"{self.demo.integration}.till:msg_{self.baskets[what]}"


def basket(product: str, price: str = "2.50") -> Basket:
    zero = dict.fromkeys(("retail_disc", "coupon_disc", "coupon_match_disc"), "0.00")
    line = {"product_id": product, "quantity": 1, "sales_value": price, **zero}
    return Basket(uuid.uuid4().hex, HOUSEHOLD, STORE, datetime.now(UTC), [line])


def with_a_password_of_its_own(demo: DemoCopy) -> None:
    """The sink logs in as a role whose password is looked for everywhere."""
    role = f"journal_{demo.tag}"
    with psycopg.connect(demo.accounting_dsn, autocommit=True) as connection:
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'",
            f"GRANT ALL ON DATABASE accounting_{demo.tag} TO {role}",
            f"GRANT ALL ON SCHEMA public TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        ):
            connection.execute(statement.encode())
    secret = demo.folder / ".mainstem" / "secrets" / "accounting_dsn"
    secret.write_text(make_conninfo(demo.accounting_dsn, user=role, password=PASSWORD))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    demo = copy_demo(folder, stack)
    with_a_password_of_its_own(demo)
    (folder / "products.csv").write_text(PRODUCTS)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    sold = [basket("1") for _ in range(GOOD)]
    dear, no_account, zero = basket("1", PRICE), basket("2"), basket("1", "0.00")
    with BackboneProcess(folder, port, env={"JOURNEY_DATA": str(folder)}) as backbone:
        backbone.start().until_ready()
        made = Live(demo, backbone, {"dear": dear.basket_id, "spirits": no_account.basket_id, "zero": zero.basket_id})
        url = f"{backbone.url}/webhooks/{demo.integration}/till"
        asyncio.run(PaymentProvider().deliver([*sold, dear, no_account, zero], url=url, secret=TILL_SECRET))
        until(lambda: len(letters(made)) == 2 and entries(made) == GOOD + 1, what=backbone.parts)
        yield made


def letters(live: Live) -> list[dict[str, bytes]]:
    with live.demo.services() as services, reading(services.config) as reader:
        found = [message for batch in reader.read(reader.whole([live.demo.dlq])) for message in batch]
    return [dict(h.as_dict(cast(h.Headers, message.headers()))) for message in found]


def entries(live: Live) -> int:
    with psycopg.connect(live.demo.accounting_dsn) as connection:
        found = connection.execute("SELECT count(*) FROM journal_line WHERE line_no = 0").fetchone()
    return int(found[0]) if found else 0


def test_topics_are_listed_and_their_records_shown_decoded_and_masked(live: Live) -> None:
    listed = {row["topic"]: row for row in live.json("topic", "list")}
    tail = live.json("topic", "tail", live.demo.payments, "-n", "100")
    table, _ = live.run("topic", "tail", live.demo.baskets, "-n", "2")

    assert listed[live.demo.baskets]["records"] == GOOD + 3
    assert listed[live.demo.payments]["schema_id"]
    (dear,) = [row for row in tail if row["key"] == live.baskets["dear"]]
    assert (dear["data"]["household_id"], dear["data"]["net"]) == ("***", PRICE)
    assert len(tail) == GOOD + 3
    assert HOUSEHOLD not in table
    assert "***" in table


def test_an_event_is_traced_from_the_webhook_to_its_dead_letter(live: Live) -> None:
    rows = live.json("record", "trace", live.event_id("spirits"))

    demo = live.demo
    assert [row["place"].rsplit(":", 2)[0] for row in rows] == [demo.baskets, demo.payments, demo.dlq]
    assert "journal_line_account_fkey" in rows[-1]["says"]


def test_a_group_is_described_by_its_sink_and_by_its_stream(live: Live) -> None:
    for name in (live.sink, live.demo.stream):
        found = live.json("group", "describe", name)
        assert found["members"] == 1
        assert found["lag"] == 0


def test_nothing_is_missing_and_the_doctor_is_content(live: Live) -> None:
    _, said = live.run("apply")
    assert "nothing is missing" in said
    checks = live.json("doctor")
    assert [check for check in checks if not check["ok"]] == []
    assert f"running: {live.sink}" in {check["check"] for check in checks}
    assert live.run("lint") == ("", "no findings\n")


def test_what_is_missing_is_shown_and_not_made_without_execute(live: Live) -> None:
    name = f"raw.till_{live.demo.tag}.refund.v1"
    folder = live.demo.folder / "schemas" / "raw" / f"till_{live.demo.tag}"
    schema = json.loads((folder / "basket.v1.avsc").read_text())
    (folder / "refund.v1.avsc").write_text(json.dumps({**schema, "name": "refund"}))
    try:
        changes = live.json("apply")
        with live.demo.services() as services:
            subjects = services.registry.subjects()
    finally:
        (folder / "refund.v1.avsc").unlink()
    assert [(change["change"], change["name"]) for change in changes] == [("register schema", f"{name}-value")]
    assert f"{name}-value" not in subjects


def test_a_replay_is_planned_and_run_beside_the_live_sink(live: Live) -> None:
    before = live.json("group", "describe", live.sink)["partitions"]
    with psycopg.connect(live.demo.accounting_dsn) as connection:
        connection.execute("DELETE FROM journal_line WHERE payment_id = %s", [live.baskets["dear"]])

    plan = live.json("replay", "plan", live.sink, "--from", "-1h")
    done, _ = live.run("replay", "run", "--plan", plan["plan"], "--execute", "-o", "json", code=1)

    assert plan["records"] == GOOD + 3
    assert json.loads(done)["delivered"] == GOOD + 1
    assert json.loads(done)["rejected"] == 2
    assert entries(live) == GOOD + 1
    assert live.json("group", "describe", live.sink)["partitions"] == before
    assert len(letters(live)) == 2


def test_dead_letters_are_listed_shown_and_redriven(live: Live) -> None:
    causes = {group["message"].rsplit("constraint ", 1)[1].split(",")[0]: group for group in live.json("dlq", "list")}
    assert {name: group["letters"] for name, group in causes.items()} == {
        "journal_line_account_fkey": 1,
        "amount_is_not_zero": 1,
    }
    shown = live.json("dlq", "show", live.event_id("spirits"))
    assert (shown["data"]["household_id"], shown["code"], shown["state"]) == ("***", "MS-105", "waiting")

    cause = causes["journal_line_account_fkey"]["cause"]
    _, preview = live.run("dlq", "redrive", "--cause", cause)
    assert "nothing was changed" in preview
    with psycopg.connect(live.demo.accounting_dsn) as connection:
        connection.execute("INSERT INTO chart_of_accounts VALUES ('SPIRITS')")
    assert live.json("dlq", "redrive", "--cause", cause, "--execute")["delivered"] == 1

    left = live.json("dlq", "list", "--letters")
    assert [letter["key"] for letter in left] == [live.baskets["zero"]]
    assert entries(live) == GOOD + 2


def test_every_line_that_is_logged_is_json_and_nothing_tells_a_secret_or_a_persons_data(live: Live) -> None:
    """Comes last: it looks through all that the tests before it have caused, an error with the password included."""
    said = {
        "metrics": live.backbone.get("/metrics")[1],
        "status": live.backbone.get("/api/v1/status")[1],
        "readyz": live.backbone.get("/readyz")[1],
        "openapi": live.backbone.get("/api/v1/openapi.json")[1],
        "config": "".join(live.run("config", "show")),
        "commands": "".join(live.printed),
        "headers": repr([{k: v for k, v in letter.items() if k in dl.ERROR_HEADERS} for letter in letters(live)]),
        "refused": send_wrong(live),
    }
    with psycopg.connect(live.demo.accounting_dsn, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE journal_{live.demo.tag} PASSWORD 'other'".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'journal_%'")
    url = f"{live.backbone.url}/webhooks/{live.demo.integration}/till"
    asyncio.run(PaymentProvider().deliver([basket("1")], url=url, secret=TILL_SECRET))
    until(lambda: live.backbone.says(live.sink, "paused", "MS-205"), what=live.backbone.parts)
    said["readyz when paused"] = live.backbone.get("/readyz")[1]
    assert live.backbone.stop() == 0
    said["log"] = live.backbone.log()

    talk = [line for line in said["log"].splitlines() if not line.startswith("{")]
    assert [line.split()[0] for line in talk] == ["listening", "draining"]
    lines = live.backbone.log_lines()
    letter = next(line for line in lines if line["event"] == "dead letter")
    assert letter["event_id"] in {live.event_id("spirits"), live.event_id("zero")}
    assert len(letter["trace"].split("-")) == 4
    canaries = {
        "household": HOUSEHOLD,
        "store": STORE,
        "price": PRICE,
        "password": PASSWORD,
        "signing": TILL_SECRET.removeprefix("whsec_"),
    }
    shown_on_purpose = {("store", "commands"), ("price", "commands")}
    found = {(what, where) for what, canary in canaries.items() for where, text in said.items() if canary in text}
    assert found - shown_on_purpose == set()


def send_wrong(live: Live) -> str:
    """What the gateway answers to a basket that does not fit: it names the field, and not what is in it."""
    wrong = basket("1")
    wrong.lines[0]["quantity"] = HOUSEHOLD
    body = wrong.body()
    headers = {"content-type": "application/json", **sign(TILL_SECRET, wrong.webhook_id, int(time.time()), body)}
    url = f"{live.backbone.url}/webhooks/{live.demo.integration}/till"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30)  # noqa: S310 - our own gateway
    with refused.value as answer:
        said = answer.read().decode()
    assert (refused.value.code, json.loads(said)["fields"][0]["field"]) == (422, "lines[0].quantity")
    return said
