from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest
from pydantic import ValidationError

from mainstem import Secret, Settings

CANARY = "canary-4711"


class Login(Settings):
    user: str
    password: Secret
    others: tuple[Secret, ...] = ()


@dataclass
class Plain:
    password: Secret


LOGIN = Login(user="u", password=Secret(CANARY), others=(Secret(CANARY),))


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(CANARY)),
        str(Secret(CANARY)),
        f"{Secret(CANARY)} {Secret(CANARY)!r} {Secret(CANARY)!s}",
        "%s %r" % (Secret(CANARY), Secret(CANARY)),  # noqa: UP031 - a way to print it too
        repr([Secret(CANARY)]),
        repr(LOGIN),
        LOGIN.model_dump_json(),
        str(LOGIN.model_dump()),
        json.dumps(LOGIN.model_dump()),
        json.dumps(Login.model_json_schema()),
        repr(pickle.dumps(Secret(CANARY))),
        repr(pickle.dumps(LOGIN)),
        repr(asdict(Plain(Secret(CANARY)))),
        repr(pickle.loads(pickle.dumps(Secret(CANARY))).reveal()),  # noqa: S301 - made here
    ],
)
def test_a_secret_is_shown_nowhere(shown: str) -> None:
    assert CANARY not in shown


def test_a_secret_in_a_log_record_or_a_traceback_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("t").warning("login %s %r", Secret(CANARY), LOGIN)
    assert "***" in caplog.text
    try:
        raise ValueError(Secret(CANARY))
    except ValueError as error:
        assert CANARY not in caplog.text + "".join(traceback.format_exception(error))


def test_the_one_who_needs_it_gets_it() -> None:
    assert LOGIN.password.reveal() == CANARY
    assert Login.model_validate_json(f'{{"user": "u", "password": "{CANARY}"}}').password == Secret(CANARY)
    assert Login.model_validate({"user": "u", "password": Secret(CANARY)}).password.reveal() == CANARY


def test_a_copy_is_the_secret_itself() -> None:
    for made in (copy.copy(LOGIN.password), copy.deepcopy(LOGIN).password, LOGIN.model_copy(deep=True).password):
        assert made.reveal() == CANARY


def test_secrets_are_equal_by_value_and_never_to_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert hash(Secret("a")) != hash("a")


@pytest.mark.parametrize("wrong", [4711, None, ["canary-4711"], b"\xffcanary-4711"])
def test_a_wrong_secret_is_refused_without_being_shown(wrong: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Login.model_validate({"user": "u", "password": wrong})
    assert "4711" not in str(caught.value)


def test_a_width_in_a_format_does_not_reveal_it() -> None:
    with pytest.raises(TypeError):
        f"{Secret(CANARY):>20}"
