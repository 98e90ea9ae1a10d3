"""A backbone that is started before what it needs is there, or is set up: it waits, says so, and then runs."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.backbone_process import until
from tests.integration.faults.conftest import Company, until_says

pytestmark = pytest.mark.stack


async def test_a_backbone_that_starts_before_its_dependencies_waits_for_each_of_them(company: Company) -> None:
    backbone, doors, catalog = company.backbone, company.doors, f"{company.demo.integration}.catalog"
    for door in doors.all():
        door.refuse()

    backbone.start()

    await until_says(backbone, "gateway", "running")
    assert backbone.get("/readyz")[0] == 503
    assert backbone.get("/healthz")[0] == 200
    await until_says(backbone, "publish", "waiting", "MS-302")
    for part in (company.sink, catalog):
        await until_says(backbone, part, "waiting", "MS-301")
    assert company.till in backbone.parts()
    selling = asyncio.create_task(company.sell(20))

    doors.kafka.resume()
    await until_says(backbone, company.sink, "waiting", "MS-303")
    await until_says(backbone, catalog, "waiting", "MS-302")
    assert backbone.says("publish", "waiting", "MS-302")

    doors.registry.resume()
    assert len(await selling) == 20
    assert company.booked() == set()

    doors.postgres.resume()
    await asyncio.to_thread(until, lambda: company.booked() == set(selling.result()), what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    assert company.dead_letters() == 0
    assert "Traceback" not in backbone.log()
    assert not [line for line in backbone.log_lines() if line["level"] == "error"]


def role_of(company: Company, password: str) -> str:
    """A role of the accounting database that may do what the sink needs, and its connection string."""
    role = f"journal_{company.demo.tag}"
    with psycopg.connect(company.demo.accounting_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
        connection.execute(f"GRANT ALL ON DATABASE accounting_{company.demo.tag} TO {role}".encode())
        connection.execute(f"GRANT ALL ON SCHEMA public TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
    return role


def checks(company: Company) -> dict[str, dict[str, str]]:
    """What `mainstem doctor` finds wrong, by the name of the check; it exits 1 for it."""
    result = company.backbone.command("doctor", "-o", "json")
    assert result.returncode == 1, result.stderr
    return {check["check"]: check for check in json.loads(result.stdout) if not check["ok"]}


async def test_what_a_person_has_to_mend_pauses_the_sink_and_is_told_everywhere_and_goes_on_by_itself(
    company: Company,
) -> None:
    """First the password is wrong, then the table is missing."""
    demo, backbone = company.demo, company.backbone
    role = role_of(company, "right")
    secret = demo.folder / ".mainstem" / "secrets" / "accounting_dsn"
    secret.write_text(make_conninfo(demo.accounting_dsn, user=role, password="wrong"))
    with psycopg.connect(demo.accounting_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE journal_line RENAME TO journal_line_gone")

    backbone.start(env={"MAINSTEM_SECRET_ACCOUNTING_DSN": ""})

    await until_says(backbone, company.sink, "paused", "MS-205")
    assert backbone.get("/readyz")[0] == 503
    assert company.runs(company.sink) == 0
    sold = await company.sell(20)

    secret.write_text(make_conninfo(demo.accounting_dsn, user=role, password="right"))
    await until_says(backbone, company.sink, "paused", "MS-204")
    found = await asyncio.to_thread(checks, company)
    assert found[f"sink {company.sink}, target"]["code"] == "MS-204"
    assert "journal_line" in found[f"sink {company.sink}, target"]["cause"]
    assert found[f"running: {company.sink}"]["code"] == "MS-204"
    assert found[f"running: {company.sink}"]["fix"]
    assert backbone.get("/readyz")[0] == 503
    assert (company.runs(company.sink), company.runs(company.till)) == (0, 1)

    with psycopg.connect(demo.accounting_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE journal_line_gone RENAME TO journal_line")
    await asyncio.to_thread(until, lambda: company.booked() == set(sold), what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    assert company.runs(company.sink) == 1
    assert company.dead_letters() == 0
