"""HTTPS for the downloads: whom to trust, where the files are, and what a failure means."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from mainstem.devstack.extras import load

TIMEOUT_S = 30.0


def repository(environ: Mapping[str, str] = os.environ) -> str:
    """The Maven repository's address: MAINSTEM_MAVEN_URL (a company's mirror), or Maven Central, which jgo knows."""
    return (environ.get("MAINSTEM_MAVEN_URL") or str(load("jgo.constants").MAVEN_CENTRAL_URL)).rstrip("/")


def opener(environ: Mapping[str, str] = os.environ) -> urllib.request.OpenerDirector:
    """Opens addresses through the environment's proxy, trusting what the user's machine trusts."""
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_trust(environ)))


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    bundle = environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE")
    if bundle:
        return ssl.create_default_context(cafile=bundle)
    context: ssl.SSLContext = load("truststore").SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def is_lasting(error: Exception) -> bool:
    """Whether trying again cannot help: an untrusted certificate, or an answer that refuses (4xx but 408 and 429)."""
    if isinstance(error, urllib.error.HTTPError):
        return 400 <= error.code < 500 and error.code not in {408, 429}
    return isinstance(_root(error), ssl.SSLCertVerificationError)


def reason(error: Exception, url: str, proxies: Mapping[str, str] | None = None) -> str:
    """What went wrong, in one line that names the host, the proxy if there is one, and TLS if it is to blame."""
    host = urllib.parse.urlsplit(url).hostname
    via = _proxy(urllib.request.getproxies() if proxies is None else proxies)
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} answers {error.code} {error.reason}{via}"
    root = _root(error)
    if isinstance(root, ssl.SSLCertVerificationError):
        return f"the TLS certificate of {host} is not trusted ({root.verify_message}){via}"
    if isinstance(root, TimeoutError):
        return f"{host} does not answer within {TIMEOUT_S:.0f} s{via}"
    if isinstance(root, http.client.IncompleteRead):
        return f"{host} closed the connection early{via}"
    return f"{host} cannot be reached: {root}{via}"


def _root(error: BaseException) -> BaseException:
    inner = getattr(error, "reason", None)
    return inner if isinstance(inner, BaseException) else error


def _proxy(proxies: Mapping[str, str]) -> str:
    """Without the credentials that the proxy's address may hold."""
    if not (address := proxies.get("https")):
        return ""
    parts = urllib.parse.urlsplit(address)
    return f", through the proxy {parts.hostname}:{parts.port}"
