"""The routes of the pages; none shows a cell that the viewer may not see."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from bellwether.web.access import Visitor
from bellwether.web.answers import addresses_of, page_response, site_of, visitor_of
from bellwether.web.files import image_source
from bellwether.web.isolation import PageRoute
from bellwether.web.site import InvalidChoice, NotFound, Site
from include.perf.alerts.book import AlertBook
from include.perf.measure.production.comparison import read_comparison
from include.perf.model.cell import CellName
from include.perf.pages.baselines_page import baseline_page, baselines_page
from include.perf.pages.compare_page import ComparedRun, compare_page
from include.perf.pages.dag_run_page import dag_run_page, unfinished
from include.perf.pages.history_page import DEFAULT_RANGE, RANGES, history_page, since_of
from include.perf.pages.matrix_page import NIGHTS, matrix_page
from include.perf.pages.problems_page import problems_page
from include.perf.pages.run_page import run_page
from include.perf.pages.undelivered import Undelivered, undelivered_of
from include.perf.runs.dag_run import results_of
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import DISTRIBUTION_FILE, PRODUCTION_FILE, TIMESERIES_FILE, usable
from include.perf.runs.run_index import RunEntry
from include.perf.runs.stage_files import StageFiles

router = APIRouter(route_class=PageRoute)

COMPARED_RUNS = 2


@router.get("/")
def show_matrix(request: Request, verdict: str = "") -> Response:
    """Show the latest verdict of every cell."""
    site, visitor = site_of(request), visitor_of(request)
    cells, book = site.cells(visitor), site.alerts.read()
    site.index.sync()
    page = matrix_page(
        cells,
        site.index.latest(runs=NIGHTS),
        book=book,
        now=site.clock(),
        wanted=Verdict(verdict) if verdict in set(Verdict) else None,
        left_out=site.index.left_out(cells).values(),
        undelivered=_undelivered(site, visitor, book).count,
    )
    return page_response(request, "matrix", page)


@router.get("/cells/{service}/{scenario}")
def show_history(
    request: Request,
    service: str,
    scenario: str,
    chosen: Annotated[str, Query(alias="range")] = DEFAULT_RANGE,
    page: int = 1,
) -> Response:
    """Show the history of a cell."""
    site, now = site_of(request), site_of(request).clock()
    cell = site.cell(visitor_of(request), service, scenario)
    chosen = chosen if chosen in RANGES else DEFAULT_RANGE
    site.index.sync()
    shown = history_page(
        cell,
        site.index.history(cell, since=since_of(chosen, now=now)),
        baseline=site.baselines.read().get(cell.service, cell.scenario),
        book=site.alerts.read(),
        chosen=chosen,
        page=page,
        now=now,
        left_out=site.index.left_out([cell]).values(),
    )
    return page_response(request, "history", shown)


@router.get("/runs/{service}/{scenario}/{run_id}")
def show_run(request: Request, service: str, scenario: str, run_id: str) -> Response:
    """Show the report of a run."""
    site, visitor = site_of(request), visitor_of(request)
    entry = site.run(visitor, run_id, cell=site.cell(visitor, service, scenario))
    left_out: dict[str, str] = {}
    production = usable(
        lambda: read_comparison(site.store.read(entry.uri, PRODUCTION_FILE), where=f"{entry.uri}/{PRODUCTION_FILE}"),
        where=f"{entry.uri}/{PRODUCTION_FILE}",
        left_out=left_out.__setitem__,
    )
    page = run_page(
        StageFiles(site.store, entry.uri).read_record(),
        entry,
        history=site.index.history(entry.cell),
        baseline=site.baselines.read().get(entry.service, entry.scenario),
        files=site.store.names(entry.uri),
        may_change=visitor.may_trigger(entry.scenario),
        production=production,
        left_out=tuple(left_out.values()),
    )
    return page_response(request, "run", page, image=image_source(request, entry))


@router.get("/compare")
def show_comparison(request: Request, run: Annotated[list[str], Query(default_factory=list)]) -> Response:
    """Show two runs side by side."""
    if len(run) != COMPARED_RUNS:
        raise InvalidChoice(f"choose exactly two runs in the history of a cell, not {len(run)}")
    site, visitor = site_of(request), visitor_of(request)
    first, second = (_compared_run(site, site.run(visitor, run_id)) for run_id in run)
    return page_response(request, "compare", compare_page(first, second))


def _compared_run(site: Site, entry: RunEntry) -> ComparedRun:
    left_out: dict[str, str] = {}

    def read(name: str) -> bytes | None:
        return usable(lambda: site.store.read(entry.uri, name), where=name, left_out=left_out.__setitem__)

    return ComparedRun(
        entry=entry,
        record=StageFiles(site.store, entry.uri).read_record(),
        series=read(TIMESERIES_FILE),
        spread=read(DISTRIBUTION_FILE),
        left_out=tuple(left_out.values()),
    )


@router.get("/baselines")
def show_baselines(request: Request) -> Response:
    """Show the baselines of all cells."""
    site = site_of(request)
    page = baselines_page(site.baselines.read(), site.cells(visitor_of(request)), now=site.clock())
    return page_response(request, "baselines", page)


@router.get("/baselines/{service}/{scenario}")
def show_baseline(request: Request, service: str, scenario: str) -> Response:
    """Show the baseline of a cell and its previous versions."""
    site, visitor = site_of(request), visitor_of(request)
    cell = site.cell(visitor, service, scenario)
    baselines = site.baselines.read()
    entry = baselines.get(cell.service, cell.scenario)
    if problem := baselines.problem_of(cell.service, cell.scenario):
        raise NotFound(f"the baseline of {cell.service} under {cell.scenario} cannot be used: {problem}")
    if entry is None:
        raise NotFound(f"{cell.service} has no baseline under {cell.scenario}; promote a good run")
    page = baseline_page(cell, entry, may_change=visitor.may_trigger(cell.scenario), now=site.clock())
    return page_response(request, "baseline", page)


@router.get("/problems")
def show_problems(request: Request) -> Response:
    """Show open problems and silences."""
    site, visitor = site_of(request), visitor_of(request)
    book = site.alerts.read()
    page = problems_page(
        book,
        site.cells(visitor),
        all_scenarios=tuple(site.catalogue().scenarios),
        may_read=visitor.may_read,
        may_change=visitor.may_trigger,
        now=site.clock(),
        undelivered=_undelivered(site, visitor, book),
    )
    return page_response(request, "problems", page)


def _undelivered(site: Site, visitor: Visitor, book: AlertBook) -> Undelivered:
    catalogue = site.catalogue()
    scenarios = (*catalogue.scenarios, *catalogue.left_out_scenarios)
    return undelivered_of(book, scenarios, may_read=visitor.may_read)


@router.get("/dag-runs/{dag_id}/{dag_run_id}")
def show_dag_run(request: Request, dag_id: str, dag_run_id: str) -> Response:
    """Show the results of a DAG run so far; of a run of all scenarios, those of the DAG runs that it triggered."""
    site, cells = site_of(request), site_of(request).cells(visitor_of(request))
    site.index.sync()
    children = dict.fromkeys((cell.scenario for cell in cells), f"{dag_id}__{dag_run_id}")
    uris: list[str] = []
    for own_id, run_id in [(dag_id, dag_run_id), *children.items()]:
        entries = [entry for entry in site.index.of_dag_run(own_id, run_id) if entry.cell in cells]
        uris += [entry.uri for entry in sorted(entries, key=_position_in(cells)) if entry.rerun_of is None]
        uris += unfinished(site.store, [cell for cell in cells if cell.scenario == own_id], dag_run_id=run_id)
    if not uris:
        raise NotFound(f"the run {dag_run_id} of the DAG {dag_id} has not planned any run that you may view")
    results = results_of(site.store, uris, dag_id=dag_id, dag_run_id=dag_run_id)
    return page_response(request, "dag_run", dag_run_page(results, addresses=addresses_of(request)))


def _position_in(cells: Sequence[CellName]) -> Callable[[RunEntry], int]:
    """Return a sort key that orders runs like the cells of all pages."""
    return lambda entry: cells.index(entry.cell)
