"""Judge the runs of a night together: read them and the history of all cells, and make their records."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.baselines.history import Night, read_nights
from include.perf.catalogue.hard_limits import DEFAULT_LIMITS, HardLimit
from include.perf.model.errors import ConfigurationError, ItemError
from include.perf.model.text import Clock
from include.perf.runs.record import Cause, RunRecord
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import Reruns, StageFiles
from include.perf.verdict.comparison import Comparison, compare_night
from include.perf.verdict.contender import CellOfNight, Contender, MeasuredRun
from include.perf.verdict.recording import StageResults, baseline_reference, gather, record_of

log = logging.getLogger(__name__)

UNDECIDED = "its re-runs were not planned"
"""Why a run has no re-runs if planning them failed: it is judged alone, because no re-run will follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A run of the night with its re-runs.

    Attributes:
        refused: why there is no valid re-run although one was wanted.
        nights: the history of its cell; empty if the run is not valid, so nothing is compared.
    """

    uri: str
    run: StageResults
    reruns: Mapping[str, StageResults]
    refused: str | None
    nights: tuple[Night, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges the runs of a night together.

    Attributes:
        limits_of: returns the hard limits of a service.
    """

    store: ResultsStore
    baselines: BaselineStore
    clock: Clock
    limits_of: Callable[[str], tuple[HardLimit, ...]] = lambda service: DEFAULT_LIMITS

    def suspicions(self, uris: Sequence[str]) -> dict[str, float]:
        """Return the runs that need re-runs by URI with their suspicion (see `Comparison`), the most suspicious first.

        A run whose worsened metrics are all significant already is left out: a re-run would add nothing, and take the
        place of a useful one. A single run beyond a limit needs one to confirm it.
        """
        baselines, members = self._night(uris)
        found = self._compared(members, baselines)
        suspicions = {uri: comparison.suspicion for uri, comparison in found.items() if comparison.needs_rerun}
        return dict(sorted(suspicions.items(), key=lambda item: -item[1]))

    def records(
        self, uris: Sequence[str], *, versions: Mapping[str, str], channel_of: Callable[[str], str] = lambda service: ""
    ) -> dict[str, RunRecord]:
        """Return the records of all runs and their re-runs by URI.

        Args:
            channel_of: returns where deviations of a service are reported; a common cause is reported once per channel.
        """
        baselines, members = self._night(uris, undecided=UNDECIDED)
        found = self._compared(members, baselines)
        records = {}
        for member in members:
            comparison = found.get(member.uri) or member.run.without_verdict()
            for uri, run, result in _results(member, comparison):
                spec = run.spec
                baseline = baselines.get(spec.service, spec.scenario)
                records[uri] = record_of(
                    run,
                    result,
                    baseline=baseline_reference(baseline, result, now=self.clock()),
                    versions=versions,
                    reruns=_ids(member) if uri == member.uri else (),
                )
        return _report_once(records, channel_of)

    def judge_again(self, uri: str) -> Comparison:
        """Judge a single finished run against the current baseline; nothing is written.

        Raises:
            NotFinished: the run is not finished.
            BaselineError: the baselines are damaged.
            StoreError: a store cannot be read.
        """
        record = StageFiles(self.store, uri).read_record()
        if not record.verdict.is_measured:
            return Comparison(verdict=record.verdict, reasons=record.reasons)
        baselines = self.baselines.read()
        reruns = tuple(self._reruns_of(record))
        nights = read_nights(self.store, service=record.service, scenario=record.scenario, before=record.started_at)
        contender = Contender(
            service=record.service,
            scenario=record.scenario,
            baseline=baselines.get(record.service, record.scenario),
            baseline_problem=baselines.problem_of(record.service, record.scenario),
            nights=nights,
            at=record.started_at,
            fingerprint=record.fingerprint,
            runs=(_measured(record), *reruns),
            deploy_version=record.deploy_version,
            no_rerun=None if reruns else "the run is already finished",
            limits=self.limits_of(record.service),
        )
        others = tuple(self._others(baselines, {(record.service, record.scenario)}, before=record.started_at))
        (comparison,) = compare_night([contender], others, now=self.clock())
        return comparison

    def _reruns_of(self, record: RunRecord) -> Iterator[MeasuredRun]:
        """Yield the figures of the valid re-runs of a finished run, without those that were deleted or are damaged."""
        for run_id in record.reruns:
            uri = self.store.uri_of(service=record.service, scenario=record.scenario, run_id=run_id)
            try:
                rerun = StageFiles(self.store, uri).read_record()
            except ItemError as err:
                log.warning("re-run ignored: %s", err)
                continue
            if rerun.verdict.is_measured:
                yield _measured(rerun)

    def _night(self, uris: Sequence[str], *, undecided: str | None = None) -> tuple[Baselines, list[_Member]]:
        """Read the baselines and the runs of the night.

        Args:
            undecided: why a run gets no re-runs if they were not planned; ``None`` while they still may be.
        """
        problem: ConfigurationError | None = None
        try:
            baselines = self.baselines.read()
        except ConfigurationError as err:
            baselines, problem = Baselines(), err
        return baselines, list(self._members(uris, problem, undecided=undecided))

    def _members(
        self, uris: Sequence[str], problem: ConfigurationError | None, *, undecided: str | None
    ) -> Iterator[_Member]:
        """Read the runs of the night, without those that have no plan, are finished, or have damaged files.

        Raises:
            ItemError: that is all of them.
            StoreError: the store cannot be read.
        """
        failures = []
        for uri in uris:
            try:
                yield self._member(uri, problem, undecided=undecided)
            except ItemError as err:
                log.error("run not judged: %s", err)
                failures.append(err)
        if failures and len(failures) == len(uris):
            raise failures[0]

    def _member(self, uri: str, problem: ConfigurationError | None, *, undecided: str | None) -> _Member:
        files = StageFiles(self.store, uri)
        planned = files.reruns.read() or Reruns(refused=undecided)
        run = gather(files, problem=problem)
        reruns = {
            rerun_uri: found.as_rerun_of(run)
            for rerun_uri in planned.uris
            if (found := self._rerun(StageFiles(self.store, rerun_uri), problem)) is not None
        }
        refused = planned.refused
        if planned.uris and not any(rerun.is_valid for rerun in reruns.values()):
            refused = f"none of the {len(planned.uris)} re-runs is valid"
        return _Member(uri=uri, run=run, reruns=reruns, refused=refused, nights=self._history_of(run))

    def _history_of(self, run: StageResults) -> tuple[Night, ...]:
        if not run.is_valid:
            return ()
        spec = run.spec
        return read_nights(self.store, service=spec.service, scenario=spec.scenario, before=run.started_at)

    def _rerun(self, files: StageFiles, problem: ConfigurationError | None) -> StageResults | None:
        """Read a re-run; ``None`` if its files were deleted or are damaged.

        Raises:
            ItemError: the re-run is finished. Its record has the common verdict, which is not judged again without it.
            StoreError: the store cannot be read.
        """
        try:
            return gather(files, problem=problem)
        except ItemError as err:
            if files.is_finished:
                raise
            log.error("run not judged: %s", err)
            return None

    def _compared(self, members: Sequence[_Member], baselines: Baselines) -> dict[str, Comparison]:
        """Compare the valid runs of the night, by URI."""
        valid = [member for member in members if member.run.is_valid]
        if not valid:
            return {}
        contenders = [self._contender(member, baselines) for member in valid]
        others = self._others(baselines, {(contender.service, contender.scenario) for contender in contenders})
        compared = compare_night(contenders, tuple(others), now=self.clock())
        return {member.uri: comparison for member, comparison in zip(valid, compared, strict=True)}

    def _contender(self, member: _Member, baselines: Baselines) -> Contender:
        spec = member.run.spec
        valid = [run.measured() for run in member.reruns.values() if run.is_valid]
        return Contender(
            service=spec.service,
            scenario=spec.scenario,
            baseline=baselines.get(spec.service, spec.scenario),
            baseline_problem=baselines.problem_of(spec.service, spec.scenario),
            nights=member.nights,
            at=member.run.started_at,
            fingerprint=member.run.fingerprint,
            runs=(member.run.measured(), *valid),
            deploy_version=member.run.deployed.after,
            no_rerun=member.refused,
            limits=self.limits_of(spec.service),
            will_record_baseline=spec.update_baseline,
        )

    def _others(
        self, baselines: Baselines, tonight: set[tuple[str, str]], *, before: datetime | None = None
    ) -> Iterator[CellOfNight]:
        for service, scenarios in baselines.entries.items():
            for scenario, baseline in scenarios.items():
                if (service, scenario) not in tonight:
                    try:
                        nights = read_nights(self.store, service=service, scenario=scenario, before=before)
                    except ItemError as err:
                        log.error("left out of the night: %s", err)
                        continue
                    yield CellOfNight(service=service, scenario=scenario, baseline=baseline, nights=nights)


def _report_once(records: dict[str, RunRecord], channel_of: Callable[[str], str]) -> dict[str, RunRecord]:
    """Report a change of the platform with the first run of each channel that shows nothing else."""
    reporters: dict[str, str] = {}
    changed = dict(records)
    for uri, record in records.items():
        if record.rerun_of is not None or not _only_platform(record):
            continue
        reporter = reporters.setdefault(channel_of(record.service), record.run_id)
        if reporter != record.run_id:
            changed[uri] = replace(record, reported_by=reporter)
    return changed


def _only_platform(record: RunRecord) -> bool:
    return (
        bool(record.regressions)
        and not (record.exceeded or record.collapse)
        and all(deviation.cause is Cause.PLATFORM for deviation in record.regressions)
    )


def _measured(record: RunRecord) -> MeasuredRun:
    return MeasuredRun(
        run_id=record.run_id,
        metrics=record.metrics,
        due=record.load.due,
        failed=record.load.failed,
        endpoints=record.endpoints,
        collapse=record.collapse.happened if record.collapse else (),
        requested_rps=record.load.due / record.load.duration_s if record.load.due and record.load.duration_s else None,
    )


def _ids(member: _Member) -> tuple[str, ...]:
    return tuple(run.spec.run_id for run in member.reruns.values())


def _results(member: _Member, comparison: Comparison) -> Iterator[tuple[str, StageResults, Comparison]]:
    """Yield the verdict of a run and of its re-runs; valid re-runs share it."""
    yield member.uri, member.run, comparison
    for uri, run in member.reruns.items():
        yield (
            uri,
            run,
            _shared_verdict(member.run.spec.run_id, run, comparison) if run.is_valid else run.without_verdict(),
        )


def _shared_verdict(first: str, rerun: StageResults, comparison: Comparison) -> Comparison:
    """Return the verdict for a re-run; only the record of the first run has the deviations."""
    collapse = comparison.collapse
    reason = f"judged together with run {first}: {comparison.reasons[0]}"
    return Comparison(
        verdict=comparison.verdict,
        reasons=(reason,),
        reference=comparison.reference,
        nights=comparison.nights,
        limits=comparison.limits,
        collapse=replace(collapse, happened=rerun.collapse) if collapse and rerun.collapse else None,
    )
