"""Dead letters from their sink's refusal to their end, with the real sink: edited, redriven, dropped."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from mainstem.codec import headers as h
from mainstem.devstack import Stack
from mainstem.errors import Rejected
from mainstem.failpoint import VARIABLE
from mainstem.flow.dead_letter import Failure, dead_letter
from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING
from tests.backbone_process import command, until
from tests.integration.recover.conftest import Shop, ids
from tests.integration.recover.desk import Desk, open_desk

pytestmark = pytest.mark.stack


@pytest.fixture
def desk(shop: Shop, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return open_desk(shop, stack, tmp_path, monkeypatch.setenv)


def test_an_edited_letter_is_delivered_as_it_was_edited_and_its_key_flows_again(desk: Desk) -> None:
    desk.sell(("k1", "a", "-1.50"), ("k1", "b", "2.00"), ("k2", "c", "3.00"))
    with desk.sink():
        desk.until_states({"a": WAITING, "b": WAITING})
        preview = desk.json("edit", "a", "--set", "net=1.50")
        assert len(desk.copies()) == 2, "nothing was changed"
        desk.json("edit", "a", "--set", "net=1.50", "--execute", "--as", "ann")
        done = desk.json("redrive", desk.shop.part, "--id", "a", "--execute", "--as", "ann")
        desk.sell(("k1", "d", "4.00"))
        until(lambda: len(desk.sold()) == 4, what=desk.sold)
        shown = desk.json("show", "a")

    assert preview == [{"field": "net", "before": "-1.50", "after": "1.50"}]
    assert (done["redriven"], done["delivered"], done["keys"]) == (2, 2, 1)
    line = [sale for sale in desk.sold() if sale[0] != "c"]
    assert line == [("a", Decimal("1.50")), ("b", Decimal("2.00")), ("d", Decimal("4.00"))]
    assert (shown["state"], shown["revision"], shown["data"]["household"]) == (DELIVERED, 1, "***")
    assert [(v["revision"], v["edited_by"], v["data"]["net"]) for v in shown["versions"]] == [
        (0, None, "-1.50"),
        (1, "ann", "1.50"),
    ]
    assert [(r["redrive_id"], r["revision"], r["outcome"]) for r in shown["redriven"]] == [(done["id"], 1, DELIVERED)]
    redriven = h.as_dict(desk.shop.read(desk.shop.redrive)[0].headers())
    assert (redriven[h.ID], redriven[h.REVISION]) == (b"a", b"1"), "an idempotent target sees another key"


def test_a_dropped_letter_is_never_written_and_its_key_is_released_with_its_last_one(desk: Desk) -> None:
    desk.sell(("k1", "a", "-1.00"), ("k1", "b", "2.00"), ("k1", "c", "3.00"))
    with desk.sink():
        desk.until_states({"a": WAITING, "b": WAITING, "c": WAITING})
        refused = desk.run("drop", desk.shop.part, "--id", "a", "--execute")
        preview = desk.run("drop", desk.shop.part, "--id", "a", "-o", "json")
        desk.json("drop", desk.shop.part, "--id", "c", "--execute", "--because", "sold twice", "--as", "ann")
        desk.until_states({"a": WAITING, "b": WAITING, "c": DROPPED})
        dropped = desk.json("drop", desk.shop.part, "--id", "a", "--execute", "--because", "a test", "--as", "ann")
        desk.sell(("k1", "d", "4.00"))
        desk.until_states({"a": DROPPED, "b": WAITING, "c": DROPPED, "d": WAITING})
        assert desk.sold() == [], "b waits still, and d behind it"
        desk.json("redrive", desk.shop.part, "--all", "--execute")
        desk.sell(("k1", "e", "5.00"))
        until(lambda: len(desk.sold()) == 3, what=desk.sold)
        shown = desk.json("show", "a")
        again = desk.json("drop", desk.shop.part, "--id", "a", "--execute", "--because", "a test")

    assert refused.exit_code == 2
    assert "--because" in refused.stderr
    assert "1 records of 1 keys to drop" in preview.stderr
    assert (dropped["given_up"], dropped["dropped"], dropped["deed"]) == (1, 1, "drop")
    assert [name for name, _ in desk.sold()] == ["b", "d", "e"]
    assert (shown["state"], shown["dropped_by"], shown["because"]) == (DROPPED, "ann", "a test")
    assert [(r["dropped_by"], r["outcome"]) for r in shown["redriven"]] == [("ann", DROPPED)]
    assert again["given_up"] == 0
    with psycopg.connect(desk.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM mainstem_parked").fetchone() == (0,)


def test_a_canary_stops_a_redrive_whose_cause_is_not_mended_and_ends_with_1(desk: Desk) -> None:
    desk.sell(*((f"k{n}", f"e{n}", "-1.00") for n in range(6)))
    with desk.sink():
        desk.until_states({f"e{n}": WAITING for n in range(6)})
        stopped = desk.json("redrive", desk.shop.part, "--all", "--canary", "2", "--execute", code=1)
        with psycopg.connect(desk.dsn, autocommit=True) as connection:
            connection.execute("ALTER TABLE sold DROP CONSTRAINT net_is_positive")
        done = desk.json("redrive", desk.shop.part, "--all", "--canary", "2", "--execute")
        seen = desk.json("status", done["id"])
        listed = desk.json("status")

    assert (stopped["state"], stopped["sent"], stopped["failed_again"]) == ("cancelled", 2, 2)
    assert stopped["error"].startswith("canary: 2 of 2 letters failed again: MS-105 (2)")
    assert (done["state"], done["sent"], done["delivered"]) == ("done", 6, 6)
    assert (seen["delivered"], seen["not_settled_yet"], seen["who"]) == (6, 0, done["who"])
    assert {stopped["id"], done["id"]} <= {row["id"] for row in listed}
    assert sorted(name for name, _ in desk.sold()) == [f"e{n}" for n in range(6)]


@pytest.mark.parametrize("point", ["redrive.before_commit", "redrive.after_commit"])
def test_a_redrive_that_is_killed_and_resumed_gives_each_letter_to_the_sink_once(desk: Desk, point: str) -> None:
    shop = desk.shop
    shop.refuse(*shop.publish([("x", "x1"), ("y", "y1"), ("x", "x2")]))
    redrive = ("dlq", "redrive", shop.part, "--all", "--execute", "--rate", "1", "--wait", "0")

    killed = command(desk.folder, *redrive, env={VARIABLE: f"{point}=kill#2"})
    job = killed.stderr.split("redrive ")[-1].split()[0]
    second = desk.run("redrive", shop.part, "--all", "--execute")
    paused = desk.json("pause", job, "--within", "0")
    resumed = desk.json("redrive", "--resume", job, "--execute", "--wait", "0")

    assert killed.returncode == -signal.SIGKILL
    assert (second.exit_code, job in second.stderr) == (4, True), "it may be running still"
    assert paused["state"] == "paused"
    assert (resumed["state"], resumed["sent"]) == ("done", 3)
    assert sorted(ids(shop.read(shop.redrive))) == ["x1", "x2", "y1"]
    assert desk.run("cancel", job).exit_code == 4, "it is over"


def test_a_letter_that_no_sink_waits_for_is_not_dropped_and_the_reason_is_told(desk: Desk) -> None:
    shop = desk.shop
    failure = Failure(Rejected("below zero"), "settle", "process")
    shop.send([dead_letter(message, failure, shop.dlq) for message in shop.publish([("x", "x1")])])

    result = desk.run("drop", shop.part, "--all", "--execute", "--because", "a test")

    assert result.exit_code == 4
    assert "x1" in result.stderr
    assert "nothing waits for it" in result.stderr
    assert shop.read(shop.redrive) == []


def test_letters_are_listed_by_state_key_and_time(desk: Desk) -> None:
    desk.sell(("k1", "a", "-1.00"), ("k2", "b", "-2.00"))
    with desk.sink():
        desk.until_states({"a": WAITING, "b": WAITING})
        desk.json("drop", desk.shop.part, "--id", "a", "--execute", "--because", "a test")

    def ids(*options: str) -> list[str]:
        return [row["event_id"] for row in desk.json("list", desk.shop.part, "--letters", *options)]

    assert ids() == ["b"]
    assert sorted(ids("--all")) == ["a", "b"]
    assert ids("--state", "dropped") == ["a"]
    assert ids("--key", "k2") == ["b"]
    assert ids("--until", "-1h") == []
    assert ids("--since", "-1h") == ["b"]
    assert desk.run("list", desk.shop.part, "--state", "lost").exit_code == 2
    (group,) = desk.json("list", desk.shop.part, "--all")
    assert (group["letters"], group["keys"], group["code"]) == (2, 2, "MS-105")
