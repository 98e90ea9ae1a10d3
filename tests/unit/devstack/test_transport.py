from __future__ import annotations

import ssl
from email.message import Message
from urllib.error import HTTPError, URLError

from mainstem.devstack.transport import is_lasting, reason, repository

URL = "https://mirror.example/maven/x.jar"


def untrusted() -> URLError:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate in certificate chain"
    return URLError(cause)


def refused(code: int) -> HTTPError:
    return HTTPError(URL, code, "Nope", Message(), None)


def test_an_untrusted_certificate_is_named_and_not_tried_again() -> None:
    assert reason(untrusted(), URL, {}) == (
        "the TLS certificate of mirror.example is not trusted (self-signed certificate in certificate chain)"
    )
    assert is_lasting(untrusted())


def test_a_proxy_is_named_without_its_credentials() -> None:
    said = reason(URLError(OSError("Tunnel connection failed: 407")), URL, {"https": "http://me:pw@proxy:3128"})
    assert said.endswith("Tunnel connection failed: 407, through the proxy proxy:3128")


def test_an_answer_that_refuses_is_final_and_one_that_is_busy_is_not() -> None:
    for code, lasting in ((404, True), (407, True), (408, False), (429, False), (503, False)):
        with refused(code) as error:
            assert is_lasting(error) is lasting


def test_a_server_that_is_silent_is_said_to_be() -> None:
    assert reason(TimeoutError(), URL, {}) == "mirror.example does not answer within 30 s"


def test_a_mirror_can_be_named() -> None:
    assert repository({"MAINSTEM_MAVEN_URL": "https://mirror.example/maven/"}) == "https://mirror.example/maven"


def test_without_one_it_is_maven_central() -> None:
    assert repository({}).startswith("https://")
