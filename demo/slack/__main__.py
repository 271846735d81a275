"""Command line: ``python -m demo.slack --port 8300``."""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from demo.slack.app import Settings
from demo.slack.server import bind, build_server, url_of

DEFAULT_PORT = 8300
# From <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code, which is 2 for an invalid option."""
    options = _parser().parse_args(arguments)
    if options.exit_with_parent:
        exit_with_parent(os.getppid())
    settings = Settings(
        channels=[name.strip().removeprefix("#") for name in options.channels.split(",") if name.strip()],
        webhook_channel=options.webhook_channel.removeprefix("#"),
        is_rate_limited=options.rate_limit,
    )
    try:
        server = build_server(settings)
    except ValueError as err:
        print(err, file=sys.stderr)
        return 2
    try:
        listener = bind(options.host, options.port)
    except OSError as err:
        reason = os.strerror(err.errno) if err.errno else str(err)
        print(f"cannot listen on {options.host} port {options.port}: {reason}", file=sys.stderr)
        return 2

    def stop(signum: int, frame: FrameType | None) -> None:
        """End the server; uvicorn raises the signal once more after its shutdown."""
        server.should_exit = True

    # Must come before the address is printed: from then on, a signal may arrive.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"stand-in Slack on {url_of(listener)}", flush=True)
    with listener:
        server.run(sockets=[listener])
    return 0


def exit_with_parent(parent_pid: int) -> None:
    """Make the kernel send SIGTERM to this process when the thread that started it ends (Linux only).

    Args:
        parent_pid: the parent at start; if it has ended by now, this process ends at once.

    Raises:
        OSError: the kernel refuses.
        SystemExit: not on Linux, or the parent has ended.
    """
    if sys.platform != "linux":
        sys.exit("--exit-with-parent needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        sys.exit("the parent has ended")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, but is {port}")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.slack", description="A stand-in for Slack.")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; everyone who can reach it may read and post (default: %(default)s)",
    )
    parser.add_argument(
        "--channels",
        default="",
        metavar="NAME[=ID],…",
        help="the only channels; by default they are created on first use",
    )
    parser.add_argument("--webhook-channel", default="", help="channel of webhook messages")
    parser.add_argument(
        "--rate-limit", action="store_true", help="refuse more than one message per second in a channel"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the parent process ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
