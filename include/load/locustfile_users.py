"""The users of a locustfile: loaded with Locust's own loader, and run on the arrival schedule.

Where Locust would pause between two tasks, a user waits for its next iteration instead. That is the only change to
Locust: task sets, weights, tags, clients and events work as they always do.
"""

from locust import TaskSet, User  # noqa: I001 - first: importing Locust patches the standard library
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.exception import StopTest, StopUser
from locust.runners import STATE_RUNNING, STATE_STOPPED
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, DefaultTaskSet

import atexit
import contextlib
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import gevent
from gevent import GreenletExit, getcurrent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from include.load.iteration import IterationTimeout, ReportedRequest, Seat
from include.load.iterations import IterationDrive
from include.load.link import LoadProcessOrder
from include.load.locustfile_loading import EVENTS, counts_of, guard_of, loaded, shares_of
from include.load.masked_output import LINES_PER_S, mask_output
from include.load.poller import Poller
from include.load.record import RequestLog
from include.load.tokens import CurrentTokens
from include.perf.load.locustfile_bundle import code_folder
from include.perf.model.masking import Mask

log = logging.getLogger("include.load")

ON_START_S = 40.0
"""How long ``on_start`` of all users together may take; the load process must be ready within 60 s."""

ON_START_AT_ONCE = 20
"""How many users start at once: a load begins with the schedule, not with a storm of logins."""

ON_STOP_S = 5.0
ON_STOP_STOPPED_S = 1.0
"""How long ``on_stop`` of all users together may take, after a complete load and after one that was stopped."""

SEAT = "_bellwether_seat"

MAX_NUMBER = 1e12


class LocustfileUsers:
    """The users of a locustfile in one load process.

    Args:
        tokens: the current ones of a service with a login.
    """

    def __init__(self, order: LoadProcessOrder, *, tokens: CurrentTokens) -> None:
        assert order.plan.locustfile is not None  # noqa: S101 - the caller checks it
        self._plan = order.plan
        self._worker = order.worker
        self._headers = {**order.plan.headers, **order.secrets.headers}
        scratch = code_folder(order.plan.folder, order.worker)
        self._guard = guard_of(order.plan, scratch=scratch)
        self._tokens = tokens
        self._output = mask_output(self._mask_of(order))
        _redirect_logging()
        atexit.register(self._output.end)
        gevent.spawn(self._write_output)
        try:
            self._environment = loaded(order.plan, order.plan.locustfile, self._guard, scratch=scratch)
        except SystemExit:
            self._output.end()  # so that the reason is the last line
            raise
        self._classes = list(self._environment.user_classes)
        self._shares = shares_of(self._classes)
        self._drive: IterationDrive | None = None
        self._users: list[User] = []
        self._problem: str | None = None
        self._stopping = False

    def _mask_of(self, order: LoadProcessOrder) -> Callable[[], Mask]:
        masks: dict[tuple[str, ...], Mask] = {}

        def current() -> Mask:
            in_use = self._tokens.in_use
            if in_use not in masks:
                masks[in_use] = Mask([*order.secrets.texts(), *in_use])
            return masks[in_use]

        return current

    def _write_output(self) -> NoReturn:
        while True:
            gevent.sleep(1 / LINES_PER_S)
            self._output.write_next()

    def start(self, request_log: RequestLog, poller: Poller, *, count: int) -> IterationDrive:
        """Start the users, wait until each has run its ``on_start`` and is idle, and return what drives them.

        Raises:
            SystemExit: the code failed, took too long, or wanted what it must not have.
        """
        drive = self._drive = IterationDrive(self._plan, self._shares, request_log, poller, self._worker)
        self._guard.on_breach = drive.stop
        runner = self._environment.runner
        assert runner is not None  # noqa: S101 - made with the environment
        runner.quit = runner.stop = self._stopped_by_code  # type: ignore[method-assign]
        _pause_by_schedule(drive)
        self._listen(drive)
        EVENTS.init.fire(environment=self._environment, runner=runner, web_ui=None)
        EVENTS.test_start.fire(environment=self._environment)
        runner.state = STATE_RUNNING
        log.info("pauses (wait_time) of the locustfile are ignored: each iteration begins when it is due")
        at_once, ready = BoundedSemaphore(ON_START_AT_ONCE), Event()
        waiting = counts_of(self._classes, self._shares, count)
        left = sum(waiting)

        def is_ready(problem: str | None) -> None:
            nonlocal left
            left -= 1
            self._problem = self._problem or problem
            if self._problem or not left:
                ready.set()

        count = left
        for kind, number in enumerate(waiting):
            for _ in range(number):
                runner.user_greenlets.spawn(self._live, kind, at_once, is_ready)
        EVENTS.spawning_complete.fire(user_count=count)
        is_in_time = ready.wait(timeout=ON_START_S)
        problem = self._guard.breach or self._problem
        if problem is None and not is_in_time:
            problem = (
                f"on_start of {count} users took longer than {ON_START_S:g} s; make it shorter, or set a lower "
                "max_concurrency in the scenario"
            )
        if problem is not None:
            self._output.end()  # so that the reason is the last line
            raise SystemExit(problem)
        gevent.sleep(0)
        return drive

    def _live(self, kind: int, at_once: BoundedSemaphore, is_ready: Callable[[str | None], None]) -> None:
        """Be one user after another, until the load is over."""
        assert self._drive is not None  # noqa: S101 - set before users start
        try:
            with at_once:
                if self._problem is not None:
                    return
                user = self._begin(kind)
        except (Exception, GreenletExit) as err:
            if self._problem is None:
                log.error("a user cannot start", exc_info=err)
            is_ready(f"{self._classes[kind].__name__} cannot start: {type(err).__name__}: {err}")
            return
        is_ready(None)
        while self._run(user):
            self._drive.counts.replaced += 1
            try:
                user = self._begin(kind)
            except Exception as err:
                log.exception("a user cannot start")
                name = self._classes[kind].__name__
                self._drive.stop(f"stopped: a new {name} cannot start: {type(err).__name__}: {err}")
                return

    def _begin(self, kind: int) -> User:
        """Create a user, and run its ``on_start``."""
        assert self._drive is not None  # noqa: S101 - set before users start
        seat = getattr(getcurrent(), SEAT, None) or self._drive.take_seat(kind)
        setattr(getcurrent(), SEAT, seat)
        user = self._classes[kind](self._environment)
        setattr(user, SEAT, seat)
        user._state = LOCUST_STATE_RUNNING
        user._greenlet = cast("gevent.Greenlet[..., Any]", getcurrent())
        self._prepare_client(user, number=len(self._users))
        self._users.append(user)
        user.on_start()
        return user

    def _run(self, user: User) -> bool:
        """Run the tasks of a user; return whether another one takes its place."""
        assert self._drive is not None  # noqa: S101 - set before users start
        seat: Seat = getattr(user, SEAT)
        while True:
            tasks: Any = DefaultTaskSet(user)
            user._taskset_instance = tasks
            try:
                self._drive.await_iteration(seat)
                tasks.run()
            except IterationTimeout:
                continue  # it was thrown outside a task
            except StopTest as err:
                self._stopped_by_code(str(err))
                return False
            except StopUser:
                if not self._stopping:
                    self._drive.leave(seat)
                    self._users.remove(user)
                    self._end_quietly(user)
                    return True
                self._end_quietly(user)
                return False
            except GreenletExit:
                self._end_quietly(user)
                return False

    def _end_quietly(self, user: Any) -> None:
        try:
            user.on_stop()
        except (Exception, GreenletExit) as err:  # noqa: BLE001 - whatever the code raises, the load is over
            log.warning("on_stop of %s failed with %s: %s", type(user).__name__, type(err).__name__, err)

    def _stopped_by_code(self, reason: str = "") -> None:
        if self._drive is not None and not self._stopping:
            self._drive.stop(f"stopped: the locustfile ended the load{f' ({reason})' if reason else ''}")

    def renew(self, values: Sequence[str]) -> None:
        """Give the clients of all users the current tokens; the users take turns."""
        self._tokens.renew(values)
        for number, user in enumerate(self._users):
            self._set_token(user, number)

    def _set_token(self, user: User, number: int) -> None:
        header, tokens = self._plan.token_header, self._tokens.in_use
        if header is not None and tokens:
            _set_headers(user, {header: self._tokens.of(number).decode("latin-1")})

    def _prepare_client(self, user: User, *, number: int) -> None:
        """Give the HTTP client of a user the headers and the TLS settings of the service."""
        _set_headers(user, self._headers)
        self._set_token(user, number)
        client = getattr(user, "client", None)
        if isinstance(client, HttpSession):
            client.verify = (
                str(self._plan.ca_file) if self._plan.ca_file and self._plan.verify_tls else self._plan.verify_tls
            )
            if self._plan.client_certificate is not None:
                client.cert = str(self._plan.client_certificate)

    def _listen(self, drive: IterationDrive) -> None:
        """Take in the requests and the exceptions that the code reports, before its own listeners."""

        def on_request(
            request_type: object = "",
            name: object = "",
            response_time: object = None,
            response_length: object = None,
            exception: object = None,
            start_time: object = None,
            response: object = None,
            **_: object,
        ) -> None:
            status = getattr(response, "status_code", 0)
            drive.take_in(
                ReportedRequest(
                    method=request_type,
                    name=name,
                    took_s=_number(response_time) / 1000,
                    size=int(_number(response_length)),
                    status=status if isinstance(status, int) and 0 <= status < 1000 else 0,
                    started_at=start_time if isinstance(start_time, float) else None,
                    error=exception or None,
                )
            )

        def on_error(user_instance: object = None, exception: BaseException | None = None, **_: object) -> None:
            if exception is not None:
                drive.fail(getcurrent(), exception)

        kept = [
            handler for handler in EVENTS.request._handlers if getattr(handler, "__module__", "") != "locust.runners"
        ]
        EVENTS.request._handlers = [on_request, *kept]
        EVENTS.user_error.add_listener(on_error)

    def stop(self) -> None:
        """Run ``on_stop`` of all users and the listeners of the end, for a limited time."""
        assert self._drive is not None  # noqa: S101 - set before users start
        self._stopping = True
        limit_s = ON_STOP_S if self._drive.is_complete else ON_STOP_STOPPED_S
        with contextlib.suppress(gevent.Timeout), gevent.Timeout(limit_s):
            for user in self._users:
                user._state = LOCUST_STATE_STOPPING
            runner = self._environment.runner
            assert runner is not None  # noqa: S101 - made with the environment
            greenlets = list(runner.user_greenlets)
            for first in range(0, len(greenlets), ON_START_AT_ONCE):
                some = greenlets[first : first + ON_START_AT_ONCE]
                gevent.killall(some, exception=StopUser, block=True)
            EVENTS.test_stop.fire(environment=self._environment)
            runner.state = STATE_STOPPED
            EVENTS.quitting.fire(environment=self._environment, reverse=True)
        self._output.end()


def _number(given: object) -> float:
    """Return a number that a client reports; 0 for anything else."""
    is_number = isinstance(given, (int, float)) and math.isfinite(given)
    return min(max(0.0, float(cast(float, given))), MAX_NUMBER) if is_number else 0.0


def _set_headers(user: User, headers: Mapping[str, str]) -> None:
    """Set headers of every request of a user's HTTP client; other clients have none."""
    client = getattr(user, "client", None)
    if isinstance(client, HttpSession):
        client.headers.update(headers)
    elif isinstance(client, FastHttpSession):
        client.client.default_headers.update(headers)


def _pause_by_schedule(drive: IterationDrive) -> None:
    """Let users wait for their next iteration where Locust pauses; pauses within a task are left out, too."""
    execute: Any = TaskSet.execute_next_task

    def execute_next_task(task_set: TaskSet) -> None:
        seat: Seat = getattr(task_set.user, SEAT)
        task = task_set._task_queue[0]
        if isinstance(task, type):  # a nested task set, which has pauses of its own
            execute(task_set)
            return
        if seat.iteration is not None:
            seat.iteration.task = getattr(task, "__name__", "")
        seat.is_in_task = True
        try:
            execute(task_set)
        finally:
            seat.is_in_task = False

    def wait(task_set: TaskSet) -> None:
        seat: Seat = getattr(task_set.user, SEAT)
        if seat.is_in_task or seat.greenlet is not getcurrent():
            return
        if task_set.user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        drive.await_iteration(seat)

    TaskSet.execute_next_task = execute_next_task  # type: ignore[method-assign]
    TaskSet.wait = wait  # type: ignore[method-assign]
    User.wait = lambda user: None  # type: ignore[method-assign]


def _redirect_logging() -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
