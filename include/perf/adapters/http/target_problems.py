"""What went wrong with a request to the service under test, and what to do."""

import re
import ssl

from include.perf.catalogue.service import Service
from include.perf.load.answer_head import HTTP2_ONLY, UnusableAnswer
from include.perf.load.answer_reader import IncompleteAnswer
from include.perf.load.wire import wants_http2

NOT_ALLOWED = (401, 403)

_ABOUT_CLIENT = re.compile(r"alert .*(certificate|unknown ca|access denied|handshake failure)")
"""Alerts by which a server says that it wants another certificate of its client (RFC 8446, 6.2)."""


class SlowConnect(TimeoutError):
    """The service did not accept the connection in time."""


def connection_problem(err: OSError | UnusableAnswer, timeout_s: float) -> str:
    """Return what is wrong with a connection to a service, or with its response."""
    match err:
        case SlowConnect():
            return str(err)
        case TimeoutError():
            return f"no response within {timeout_s:g} s"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "the connection was closed before a complete response"
        case OSError():
            return (err.strerror or "no connection").lower()
        case IncompleteAnswer():
            return "the response was incomplete"
        case UnusableAnswer():
            return f"the response is not valid HTTP ({err})"


def tls_problem(err: ssl.SSLError, service: Service) -> str:
    """Return what is wrong with a TLS connection to a service, and what to do."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return (
            f"its certificate cannot be verified ({err.verify_message}); set ca_file in services.yaml to the CA bundle "
            f"of its certificate, or correct {service.url_setting}"
        )
    if wants_http2(err):
        return HTTP2_ONLY
    if isinstance(err, ssl.SSLEOFError) and service.client_certificate is None:
        return (
            "it ended the TLS connection; if it requires a certificate of its clients, set client_certificate in "
            f"services.yaml, otherwise correct the scheme and the port of {service.url_setting}"
        )
    reason = (err.reason or "").replace("_", " ").lower()
    if not _ABOUT_CLIENT.search(reason):
        return f"no TLS connection; correct the scheme and the port of {service.url_setting} in services.yaml"
    if service.client_certificate is None:
        return (
            f"it requires a certificate of the client ({reason}); set client_certificate in services.yaml to a PEM "
            "file with the certificate and its private key"
        )
    return f"it did not accept the certificate {service.client_certificate} of the client ({reason}); correct the file"


def remedy_for_status(service: Service, status: int) -> str:
    """Return what to do about a status; empty if nothing is known."""
    if status not in NOT_ALLOWED:
        return ""
    if service.connection is None:
        return "; set connection in services.yaml to one with its credentials"
    return f"; correct the credentials in the connection {service.connection}"
