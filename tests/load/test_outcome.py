"""How requests end: few kinds, each with an example, and what this machine ran out of kept apart."""

import errno
import os
import ssl

import pytest
from geventhttpclient.response import HTTPParseError

from include.load.answer import UnusableAnswer
from include.load.connection import ConnectTimeout
from include.load.outcome import FAILURES, OWN_FAULTS, Outcome, RequestTimeout, failure, is_own_fault, own_fault


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


KINDS = [
    (RequestTimeout(), "timeout", "no whole answer within 2.5 s"),
    (ConnectTimeout("no connection within 1 s"), "timeout", "no connection within 1 s"),
    (UnusableAnswer("the server closed"), "broken answer", "the server closed"),
    (HTTPParseError("Expected HTTP/", 8), "broken answer", "('Expected HTTP/', 8)"),
    (os_error(errno.ECONNREFUSED), "connection refused", "[Errno 111] Connection refused"),
    (os_error(errno.ECONNRESET), "connection reset", "[Errno 104] Connection reset by peer"),
    (os_error(errno.EPIPE), "connection reset", "[Errno 32] Broken pipe"),
    (os_error(errno.ETIMEDOUT), "connection timed out", "[Errno 110] Connection timed out"),
    (os_error(errno.EHOSTUNREACH), "host unreachable", "[Errno 113] No route to host"),
    (os_error(errno.ENETUNREACH), "host unreachable", "[Errno 101] Network is unreachable"),
    (os_error(errno.EPROTO), "OSError", "[Errno 71] Protocol error"),
    (ssl.SSLCertVerificationError(1, "self-signed"), "SSLCertVerificationError", "self-signed"),
    (ssl.SSLEOFError(8, "EOF occurred"), "SSLEOFError", "EOF occurred"),
]


@pytest.mark.parametrize(("err", "kind", "example"), KINDS, ids=lambda value: type(value).__name__)
def test_every_failure_has_its_kind(err: Exception, kind: str, example: str) -> None:
    """No answer, no status and no size; the example says what happened."""
    assert isinstance(err, FAILURES)
    outcome = failure(err, timeout_s=2.5)
    assert (outcome.status, outcome.size, outcome.error) == (0, 0, kind)
    assert example in outcome.example
    assert "," not in kind  # it goes into a CSV as it is


def test_all_is_well_unless_something_is_said() -> None:
    """An outcome without an error is a good one."""
    assert Outcome(200, 17) == Outcome(status=200, size=17, error="", example="")


def test_anything_else_is_no_failure_of_a_request() -> None:
    """A fault of the load generator must not be counted as the service's."""
    assert not isinstance(ValueError("x"), FAILURES)
    with pytest.raises(TypeError, match="is no failure of a request"):
        failure(ValueError("x"), timeout_s=1)


@pytest.mark.parametrize("number", sorted(OWN_FAULTS))
def test_what_this_machine_ran_out_of_is_its_own_fault(number: int) -> None:
    """Descriptors, ports, buffers and memory: the run must not count, and its end says what to raise."""
    assert is_own_fault(os_error(number))
    assert own_fault(os_error(number)) == (
        f"the load generator ran out of {OWN_FAULTS[number]} ([Errno {number}] {os.strerror(number)}); raise its limits"
    )


@pytest.mark.parametrize(
    "err",
    [
        os_error(errno.ECONNREFUSED),
        RequestTimeout(),
        OSError("without a number"),
        ValueError("x"),
    ],
)
def test_the_service_failing_is_not(err: Exception) -> None:
    """Refusals and time-outs say something of the service."""
    assert not is_own_fault(err)


def test_a_fault_of_the_program_is_told_with_its_error() -> None:
    """Nobody can repair what is not named."""
    assert own_fault(ValueError("x")) == "the load generator failed (ValueError('x'))"
