from __future__ import annotations

import pytest

from mainstem.errors import RequestRefused
from mainstem.gateway.access import AccessRules
from mainstem.gateway.route import Access
from mainstem.project.gateway import GatewaySettings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_without_keys_everybody_of_this_machine_may(host: str) -> None:
    rules = AccessRules(GatewaySettings(host=host))

    assert rules.caller(Access.TOPIC, {}, "raw.till.basket.v1") == "local"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.3", "example.org", ""])  # noqa: S104 - what is refused
@pytest.mark.parametrize("access", [Access.TOPIC, Access.KEY])
def test_beyond_loopback_nobody_may_without_a_key(host: str, access: Access) -> None:
    rules = AccessRules(GatewaySettings(host=host))

    with pytest.raises(RequestRefused) as refused:
        rules.caller(access, {"Authorization": "Bearer x"}, "raw.till.basket.v1")

    assert refused.value.status == 401


def test_probes_and_signed_requests_are_not_asked_for_a_key() -> None:
    rules = AccessRules(GatewaySettings(host="10.0.0.3"))

    assert rules.caller(Access.OPEN, {}) is None
    assert rules.caller(Access.SIGNED, {}) is None
