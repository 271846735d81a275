"""Outcomes of requests: a few kinds of error with an example, and the shortages of this machine kept apart."""

import errno
import os
import ssl

import pytest

from include.load.connection import ConnectTimeout
from include.load.outcome import FAILURES, OWN_FAULTS, Outcome, RequestTimeout, failure, is_own_fault, own_fault
from include.perf.load.answer_head import UnusableAnswer


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


KINDS = [
    (RequestTimeout(), "timeout", "no complete answer within 2.5 s"),
    (ConnectTimeout("no connection within 1 s"), "timeout", "no connection within 1 s"),
    (UnusableAnswer("the server closed"), "broken answer", "the server closed"),
    (os_error(errno.ECONNREFUSED), "connection refused", "Connection refused"),
    (os_error(errno.ECONNRESET), "connection reset", "Connection reset by peer"),
    (os_error(errno.EPIPE), "connection reset", "Broken pipe"),
    (os_error(errno.ETIMEDOUT), "connection timed out", "Connection timed out"),
    (os_error(errno.EHOSTUNREACH), "host unreachable", "No route to host"),
    (os_error(errno.ENETUNREACH), "host unreachable", "Network is unreachable"),
    (os_error(errno.EPROTO), "network error", "Protocol error"),
    (OSError("without a number"), "network error", "without a number"),
    (ssl.SSLCertVerificationError(1, "self-signed"), "certificate rejected", "self-signed"),
    (ssl.SSLEOFError(8, "EOF occurred"), "TLS error", "EOF occurred"),
]


@pytest.mark.parametrize(("err", "kind", "example"), KINDS, ids=lambda value: type(value).__name__)
def test_every_failure_has_its_kind(err: Exception, kind: str, example: str) -> None:
    """No answer, no status and no size; the example says what happened, in words."""
    assert isinstance(err, FAILURES)
    outcome = failure(err, timeout_s=2.5)
    assert (outcome.status, outcome.size, outcome.error) == (0, 0, kind)
    assert outcome.example == example
    assert "," not in kind  # it goes into a CSV as it is


def test_an_outcome_is_good_by_default() -> None:
    """An outcome without an error is a good one."""
    assert Outcome(200, 17) == Outcome(status=200, size=17, error="", example="")


def test_any_other_error_is_no_failure_of_a_request() -> None:
    """A fault of the load generator must not be counted as the service's."""
    assert not isinstance(ValueError("x"), FAILURES)
    with pytest.raises(TypeError, match="is no failure of a request"):
        failure(ValueError("x"), timeout_s=1)


@pytest.mark.parametrize("number", sorted(OWN_FAULTS))
def test_a_shortage_of_this_machine_is_its_own_fault(number: int) -> None:
    """Descriptors, ports, buffers and memory: the run must not count, and the reason names the limit to raise."""
    assert is_own_fault(os_error(number))
    assert own_fault(os_error(number)) == (
        f"the load generator ran out of {OWN_FAULTS[number]} ({os.strerror(number)}); raise its limits"
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
def test_a_failure_of_the_service_is_no_own_fault(err: Exception) -> None:
    """Refused connections and timeouts say something about the service."""
    assert not is_own_fault(err)


@pytest.mark.parametrize(("err", "text"), [(ValueError("x"), "x"), (ValueError(), "no message")])
def test_a_fault_of_the_program_names_its_error(err: Exception, text: str) -> None:
    """The reason has the message of the error; the log has its trace."""
    assert own_fault(err) == f"the load generator failed unexpectedly ({text}); its log has the details"
