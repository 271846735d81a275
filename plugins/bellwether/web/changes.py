"""The routes that change baselines and silences. Every change takes a permission, one of our forms and a reason."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from bellwether.web.access import Forbidden, Visitor
from bellwether.web.answers import addresses_of, done, site_of, visitor_of
from bellwether.web.csrf import FIELD
from bellwether.web.isolation import ChangeRoute
from bellwether.web.site import NotFound
from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, Silence
from include.perf.alerts.silence import SilenceRequest, about, acknowledge, lift, silence_of
from include.perf.baselines.entry import Approval
from include.perf.pages.problems_page import can_acknowledge, may_silence
from include.perf.runs.stage_files import StageFiles

log = logging.getLogger(__name__)


async def from_our_form(request: Request, token: Annotated[str, Form(alias=FIELD)] = "") -> None:
    """Refuse a request that none of our forms sent.

    Raises:
        ForgedRequest: the CSRF token or the origin is wrong.
    """
    site_of(request).tokens.check(request, token=token, user_id=visitor_of(request).id)


router = APIRouter(route_class=ChangeRoute, dependencies=[Depends(from_our_form)])

Text = Annotated[str, Form(max_length=500)]
Version = Annotated[int, Form(ge=0)]


def _forbidden(what: str) -> Forbidden:
    return Forbidden(f"to change this, you need permission to trigger {what} in Airflow")


@router.post("/runs/{service}/{scenario}/{run_id}/promote")
def promote_run(
    request: Request,
    service: str,
    scenario: str,
    run_id: str,
    reason: Text = "",
    force: Annotated[str, Form()] = "",
    over: Version = 0,
) -> Response:
    """Add a run to the baseline of its cell, or start a new baseline from it."""
    from include.perf.baselines.promotion import (
        promote,  # imports NumPy and SciPy, which only baseline changes need
    )

    site, visitor = site_of(request), visitor_of(request)
    entry = site.run(visitor, run_id, cell=site.cell(visitor, service, scenario))
    if not visitor.may_trigger(entry.scenario):
        raise _forbidden(entry.scenario)
    baseline = promote(
        StageFiles(site.store, entry.uri).read_record(),
        approval=Approval(by=visitor.name, at=site.clock(), reason=reason, run_id=entry.run_id),
        force=bool(force),
        store=site.store,
        baselines=site.baselines,
        over=over,
    )
    log.info(
        "%s %s %s promoted by %s: version %d",
        entry.service,
        entry.scenario,
        entry.run_id,
        visitor.name,
        baseline.version,
    )
    return done(request, addresses_of(request).baseline(entry.cell), f"The baseline is now version {baseline.version}.")


@router.post("/baselines/{service}/{scenario}/roll-back")
def roll_back_baseline(
    request: Request, service: str, scenario: str, version: Version = 0, reason: Text = "", over: Version = 0
) -> Response:
    """Restore a previous version of a baseline."""
    from include.perf.baselines.promotion import roll_back

    site, visitor = site_of(request), visitor_of(request)
    cell = site.cell(visitor, service, scenario)
    if not visitor.may_trigger(cell.scenario):
        raise _forbidden(cell.scenario)
    approval = Approval(by=visitor.name, at=site.clock(), reason=reason, run_id="")
    baseline = roll_back(cell, version=version, approval=approval, baselines=site.baselines, over=over)
    log.info(
        "%s %s rolled back to %d by %s: version %d",
        cell.service,
        cell.scenario,
        version,
        visitor.name,
        baseline.version,
    )
    notice = f"Rolled back: version {baseline.version} restores version {version}."
    return done(request, addresses_of(request).baseline(cell), notice)


@router.post("/silences")
def add_silence(
    request: Request,
    service: Text = "",
    scenario: Text = "",
    metric: Text = "",
    days: Annotated[float, Form()] = 0.0,
    reason: Text = "",
) -> Response:
    """Silence alerts for some days."""
    site, visitor = site_of(request), visitor_of(request)
    _check_silence(request, scenario or None)
    requested = SilenceRequest(
        by=visitor.name,
        reason=reason,
        days=days,
        service=service or None,
        scenario=scenario or None,
        metric=metric or None,
    )
    silence = silence_of(requested, site.catalogue(), now=site.clock())
    message = site.acknowledged(silence)
    site.alerts.update(lambda book: AlertWriter(book=book, now=site.clock()).silence(silence, message))
    return _silenced(request, visitor, f"Silenced: {about(silence)}.")


@router.post("/silences/{silence_id}/lift")
def lift_silence(request: Request, silence_id: str) -> Response:
    """End a silence early."""
    site, visitor = site_of(request), visitor_of(request)

    def change(book: AlertBook) -> Silence:
        silence = lift(book, silence_id, now=site.clock())
        _check_silence(request, silence.scenario)
        return silence

    silence = site.alerts.update(change)
    return _silenced(request, visitor, f"Silence lifted: {about(silence)}.")


def _check_silence(request: Request, scenario: str | None) -> None:
    """Refuse a viewer who may not change the scenario; ``None``, every scenario, takes the right to change them all.

    Raises:
        Forbidden: the viewer lacks a permission.
    """
    site, visitor = site_of(request), visitor_of(request)
    scenarios = tuple(site.catalogue().scenarios)
    if not may_silence(scenario, scenarios, visitor.may_trigger):
        raise _forbidden(scenario or "every scenario")


@router.post("/problems/{problem_id}/acknowledge")
def acknowledge_problem(
    request: Request, problem_id: str, days: Annotated[float, Form()] = 0.0, reason: Text = ""
) -> Response:
    """Acknowledge a problem: silence it and say so in its Slack thread."""
    site, visitor = site_of(request), visitor_of(request)
    requested = SilenceRequest(by=visitor.name, reason=reason, days=days)

    def change(book: AlertBook) -> None:
        problem = book.problem(problem_id)
        if problem is None or not problem.is_open or not any(visitor.may_read(cell.scenario) for cell in problem.cells):
            raise NotFound("there is no open problem with this id; it may be resolved by now")
        scenarios = ", ".join(dict.fromkeys(cell.scenario for cell in problem.cells))
        if not can_acknowledge(problem, may_change=visitor.may_trigger):
            raise _forbidden(scenarios)
        acknowledge(AlertWriter(book=book, now=site.clock()), problem, requested, site.acknowledged)

    site.alerts.update(change)
    return _silenced(request, visitor, "Acknowledged. The Slack thread says so.")


def _silenced(request: Request, visitor: Visitor, notice: str) -> Response:
    log.info("%s: %s", visitor.name, notice)
    return done(request, addresses_of(request).problems(), notice)
