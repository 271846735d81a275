"""Loads a locustfile behind its guard, with Locust's own loader, into an environment of Locust."""

from locust import User, events  # noqa: I001 - first: importing Locust patches the standard library
from locust.argument_parser import get_empty_argument_parser, setup_parser_arguments
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.user.users import PytestUser
from locust.util.load_locustfile import load_locustfile

import argparse
import logging
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import gevent

from include.load.alarm import make_alarm
from include.load.code_guard import CodeGuard
from include.load.iteration import UserShare
from include.perf.catalogue.locustfile import Locustfile
from include.perf.load.load_plan import LoadPlan
from include.perf.load.locustfile_bundle import read_bundle
from include.perf.load.wire import tls_context
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import LOCUSTFILE_FILE

log = logging.getLogger("include.load")

LOADING_S = 60.0
HANGS_S = 20.0
"""For this long the code may keep the loop of the process to itself, while it is loaded and from then on; a parent that
is there ends it sooner."""

MAX_WEIGHT = 1000

EVENTS: Any = events
"""Locust's own events, to which the code adds its listeners; they have no types."""


def loaded(plan: LoadPlan, chosen: Locustfile, guard: CodeGuard, *, scratch: Path) -> Environment:
    """Load the code under the guard, and return Locust's environment with its user classes.

    Raises:
        SystemExit: it cannot be loaded, or wanted what it must not have.
    """
    path = _unpacked(plan, scratch)
    _look_up_timers()
    guard.arm()
    signal.setitimer(signal.ITIMER_REAL, LOADING_S)
    classes = _classes_of(path, chosen)
    if guard.breach is not None:
        raise SystemExit(guard.breach)
    _end_if_it_hangs()
    return _environment_of(plan, chosen, classes)


def guard_of(plan: LoadPlan, *, scratch: Path) -> CodeGuard:
    """Return the guard for the code of a load."""
    assert plan.locustfile is not None  # noqa: S101 - the caller checks it
    parts = urlsplit(plan.base_url)
    own = parts.port or (443 if parts.scheme == "https" else 80)
    return CodeGuard(
        host=(parts.hostname or "").lower(),
        addresses=plan.addresses,
        ports=(own, *plan.locustfile.ports),
        folders=(scratch, plan.folder),
    )


def _unpacked(plan: LoadPlan, scratch: Path) -> Path:
    """Unpack the locustfile, and work in its folder, where its own files are."""
    try:
        scratch.mkdir()
        path = read_bundle(plan.folder / LOCUSTFILE_FILE).unpack(scratch)
    except LoadError as err:
        raise SystemExit(str(err)) from err
    os.chdir(scratch)
    tempfile.tempdir = str(scratch)
    return path


def _classes_of(path: Path, chosen: Locustfile) -> list[type[User]]:
    """Load the locustfile, and return its user classes.

    Raises:
        SystemExit: it cannot be loaded, or has no such class.
    """
    sys.dont_write_bytecode = True
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        classes, shapes = load_locustfile(str(path))
    except Exception as err:
        log.exception("the locustfile cannot be loaded")
        raise SystemExit(f"the locustfile {path.name} cannot be loaded: {type(err).__name__}: {err}") from err
    if shapes:
        log.warning("the load shape of the locustfile is ignored: the scenario decides on the load")
    unknown = [name for name in chosen.user_classes if name not in classes]
    if unknown or not classes:
        known = ", ".join(classes) or "none"
        named = f" {', '.join(unknown)}" if unknown else ""
        raise SystemExit(f"the locustfile {path.name} has no user class{named}; its user classes: {known}")
    found = [classes[name] for name in chosen.user_classes] or list(classes.values())
    if any(issubclass(one, PytestUser) for one in found):
        raise SystemExit("user classes made from pytest functions cannot run on a schedule; write a User class")
    return found


def _environment_of(plan: LoadPlan, chosen: Locustfile, classes: list[type[User]]) -> Environment:
    """Return Locust's environment with these classes, and with the service as their host."""
    context = _context_of(plan)
    for found in classes:
        found.host = plan.base_url
        if issubclass(found, FastHttpUser):
            found.insecure = not plan.verify_tls
            if context is not None:
                found.ssl_context_factory = staticmethod(lambda: context)
    try:
        environment = Environment(
            user_classes=list(classes),
            events=events,
            host=plan.base_url,
            tags=list(chosen.tags) or None,
            exclude_tags=list(chosen.exclude_tags) or None,
            parsed_options=_options_of(plan),
        )
        environment.create_local_runner()
    except ValueError as err:
        raise SystemExit(f"the user classes of the locustfile cannot be run: {err}") from err
    environment._filter_tasks_by_tags()
    without = [found.__name__ for found in environment.user_classes if not found.tasks]
    if without:
        raise SystemExit(f"{', '.join(without)} has no task to run; check tags and exclude_tags")
    return environment


def _context_of(plan: LoadPlan) -> SSLContext | None:
    return tls_context(
        plan.base_url, verify=plan.verify_tls, ca_file=plan.ca_file, client_certificate=plan.client_certificate
    )


def _options_of(plan: LoadPlan) -> argparse.Namespace:
    """Return Locust's options with their defaults, also those that the locustfile adds."""
    parser = get_empty_argument_parser(add_help=False, default_config_files=[])
    set_up: Any = setup_parser_arguments
    set_up(parser)
    EVENTS.init_command_line_parser.fire(parser=parser)
    options: argparse.Namespace = parser.parse_args(["--headless", "--host", plan.base_url])
    return options


def shares_of(classes: Sequence[type[User]]) -> list[UserShare]:
    """Return the share of each class in the iterations: by weight, as small whole numbers.

    A class with a ``fixed_count`` has the share that its users have among those of a load with 100 users.
    """
    fixed = {found: min(found.fixed_count, 100) for found in classes if found.fixed_count}
    weighted = [found for found in classes if found not in fixed]
    total = sum((Fraction(found.weight).limit_denominator(MAX_WEIGHT) for found in weighted), Fraction(0))
    left = Fraction(max(1, 100 - sum(fixed.values())) if fixed else 1)
    shares = [
        Fraction(fixed[found])
        if found in fixed
        else Fraction(found.weight).limit_denominator(MAX_WEIGHT) / total * left
        for found in classes
    ]
    scale = reduce(math.lcm, (share.denominator for share in shares))
    whole = [int(share * scale) for share in shares]
    common = reduce(math.gcd, whole)
    return [
        UserShare(name=found.__name__, weight=number // common) for found, number in zip(classes, whole, strict=True)
    ]


def counts_of(classes: Sequence[type[User]], shares: Sequence[UserShare], count: int) -> list[int]:
    """Return how many users of each class to start: those of ``fixed_count``, and the rest by share, one at least."""
    fixed = [found.fixed_count for found in classes]
    total = sum(share.weight for share, own in zip(shares, fixed, strict=True) if not own) or 1
    rest = max(0, count - sum(fixed))
    return [own or max(1, round(rest * share.weight / total)) for share, own in zip(shares, fixed, strict=True)]


def _look_up_timers() -> None:
    """Look up the kernel's timers while functions of C may still be looked up."""
    alarm = make_alarm(lambda: None)
    alarm.set(time.perf_counter() + HANGS_S)
    alarm.close()


def _end_if_it_hangs() -> None:
    """Have the kernel end this process if its loop stands still: code that never waits cannot see its parent go."""

    def postpone() -> None:
        while True:
            signal.setitimer(signal.ITIMER_REAL, HANGS_S)
            gevent.sleep(1)

    gevent.spawn(postpone)
