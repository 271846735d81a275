"""Start one service of the reference platform: `python -m demo.platform --help`."""

import argparse
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import disable_created_metrics

from demo.platform.access import LIFE_S
from demo.platform.app import ServiceSettings, create_app
from demo.platform.catalogue import SERVICES, service_name
from demo.platform.server import ServerSettings, Stopped, exit_with_parent, raise_on_stop_signals, serve

log = logging.getLogger(__name__)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; the default is that of the process."""
    parser = argparse.ArgumentParser(prog="python -m demo.platform", description=__doc__)
    parser.add_argument("--service", required=True, type=_service, help=f"one of {', '.join(SERVICES)}")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument(
        "--host",
        nargs="+",
        default=["127.0.0.1"],
        help="addresses to listen on (default: 127.0.0.1)",
        metavar="ADDRESS",
    )
    parser.add_argument(
        "--idle-timeout",
        type=float,
        default=75.0,
        metavar="SECONDS",
        help="after how long an idle connection is closed (default: %(default)s)",
    )
    parser.add_argument("--certificate", type=Path, metavar="FILE.pem", help="serve TLS with this certificate and key")
    parser.add_argument(
        "--client-ca", type=Path, metavar="FILE.pem", help="with --certificate: require a client certificate of this CA"
    )
    parser.add_argument("--environment", default="staging", help="shown at /healthz (default: %(default)s)")
    parser.add_argument("--version", default="2.4.0", help="shown at /healthz (default: %(default)s)")
    parser.add_argument("--with-faults", action="store_true", help="add the fault knob at /admin/fault")
    parser.add_argument(
        "--token-life-s", type=float, default=LIFE_S, help="how long a token is valid (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir",
        default=Path(),
        type=_folder,
        help="folder whose file system the disk metrics measure (default: .)",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the parent process ends")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal stops the process; return the exit code."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.exit_with_parent:
        exit_with_parent()
    # The *_created series double the number of series, and no query uses them.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    settings = ServiceSettings(
        service=options.service,
        environment=options.environment,
        version=options.version,
        data_dir=options.data_dir,
        with_faults=options.with_faults,
        token_life_s=options.token_life_s,
    )
    raise_on_stop_signals()
    with contextlib.suppress(Stopped):
        log.info("%s %s (%s) on %s:%s", *_identity(settings), ", ".join(options.host), options.port)
        serve(
            create_app(settings),
            ServerSettings(
                hosts=options.host,
                port=options.port,
                idle_timeout_s=options.idle_timeout,
                certificate=options.certificate,
                client_ca=options.client_ca,
            ),
        )
    log.info("%s %s (%s) stopped", *_identity(settings))
    return 0


def _identity(settings: ServiceSettings) -> tuple[str, str, str]:
    return settings.service, settings.version, settings.environment


def _service(text: str) -> str:
    try:
        return service_name(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not an existing folder; create it first")
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
