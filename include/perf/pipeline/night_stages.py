"""The stages that all runs of a night share: plan, plan_reruns, compare, report.

They need stores only, no Prometheus and no service. ``run.json`` is written last, so a folder without it is a run that
is not finished.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.perf.model.errors import collected
from include.perf.pipeline.outside import Stores
from include.perf.pipeline.planning.request import RunRequest, specs_for
from include.perf.pipeline.planning.time_plan import in_turn, refusal, reruns_of, run_length
from include.perf.runs.kept_catalogue import KeptCatalogue, kept_for
from include.perf.runs.planned_run import PlannedRun, planned_run
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import Reruns, StageFiles

if TYPE_CHECKING:
    from include.perf.verdict.night import Judge

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NightStages:
    """The stages of a night, in order; the runs are measured after `plan` and after `plan_reruns`."""

    stores: Stores

    def plan(self, request: RunRequest) -> list[str]:
        """Check a request and create the folder of each run; return their URIs.

        Raises:
            ConfigurationError: with everything that is wrong with the request.
        """
        problems: list[str] = []
        with collected(problems):
            self.stores.baselines.read()
        specs = specs_for(request, self.stores.catalogue, now=self.stores.clock(), problems=problems)
        return [self._create(spec) for spec in specs]

    def plan_reruns(self, uris: Sequence[str]) -> list[str]:
        """Plan two re-runs of each run that looks suspicious, the most suspicious first; return their URIs.

        At most as many services get re-runs as the scenario allows, and only those whose re-runs end in time. A run
        that gets none keeps the reason in its folder.
        """
        if not uris:
            return []
        scenario = self._run(uris[0]).scenario
        decided = {uri: reruns for uri in uris if (reruns := self._files(uri).reruns.read()) is not None}
        planned = [reruns.uris for reruns in decided.values() if reruns.uris]
        for uri in self._judge().suspicions(uris):
            if uri in decided:
                continue
            run = self._run(uri)
            length = run_length(run.spec.load, run.service)
            refused = refusal(run.spec, scenario, length=length, ahead=len(planned), now=self.stores.clock())
            reruns = self._reruns_of(run, refused)
            self._files(uri).reruns.write(reruns)
            planned += [reruns.uris] if reruns.uris else []
        return in_turn(planned, parallel=scenario.parallel)

    def compare(self, uris: Sequence[str]) -> dict[str, Verdict]:
        """Judge the runs of a night together, including those that failed early, and write the draft of each record.

        Returns:
            The verdicts by URI, including those of the re-runs.
        """
        records = self._judge().records(uris, versions=self.stores.versions, channel_of=self._channel_of)
        for uri, record in records.items():
            self._files(uri).draft.write(record)
            reasons = "; ".join(record.reasons)
            log.info("%s %s %s: %s: %s", record.service, record.scenario, record.run_id, record.verdict, reasons)
        return {uri: record.verdict for uri, record in records.items()}

    def report(self, uri: str) -> RunRecord:
        """Write the charts, the report and, last, the record of a run and of its re-runs.

        A failure for one of them does not keep the others from their records. A run that was left out of the
        comparison gets no record. After an attempt that failed halfway only the rest is done.
        """
        from include.perf.pipeline.finishing import Finishing

        finishing = Finishing(self.stores)
        own = self._files(uri)
        reruns = [self._files(rerun) for rerun in (own.reruns.read() or Reruns()).uris]
        records: list[RunRecord] = []
        with ExitStack() as last_in_first_out:
            for files in (own, *(files for files in reruns if files.is_compared)):
                last_in_first_out.callback(lambda files: records.append(finishing.finish(files)), files)
        return records[-1]

    def _create(self, spec: RunSpec) -> str:
        """Create the folder of a run and return its URI."""
        uri = self.stores.results.create(service=spec.service, scenario=spec.scenario, run_id=spec.run_id)
        self._files(uri).catalogue.write(self._kept_for(spec))
        self._files(uri).spec.write(spec)
        log.info("%s %s %s planned: %s", spec.service, spec.scenario, spec.run_id, uri)
        return uri

    def _kept_for(self, spec: RunSpec) -> KeptCatalogue:
        """Return what a run is planned with; a re-run is planned with the same as the run that it repeats."""
        results, kept = self.stores.results, None
        if spec.rerun_of is not None:
            repeated = results.uri_of(service=spec.service, scenario=spec.scenario, run_id=spec.rerun_of)
            kept = self._files(repeated).catalogue.read()
        return kept or kept_for(spec, self.stores.catalogue)

    def _run(self, uri: str) -> PlannedRun:
        return planned_run(self._files(uri).read_spec(), self.stores.catalogue)

    def _reruns_of(self, run: PlannedRun, refused: str | None) -> Reruns:
        """Create the folders of the re-runs of one run, or return why it gets none."""
        if refused is not None:
            log.warning("%s looks suspicious: %s", run, refused)
            return Reruns(refused=refused)
        log.info("%s looks suspicious and gets two re-runs", run)
        return Reruns(uris=tuple(self._create(spec) for spec in reruns_of(run.spec, now=self.stores.clock())))

    def _channel_of(self, service: str) -> str:
        """Return the Slack channel of a service; a service that left the catalogue counts as a channel of its own."""
        known = self.stores.catalogue.services.get(service)
        return known.slack_channel if known else service

    def _judge(self) -> "Judge":
        from include.perf.verdict.night import Judge

        return Judge(
            store=self.stores.results,
            baselines=self.stores.baselines,
            clock=self.stores.clock,
            limits_of=self.stores.catalogue.limits_of,
        )

    def _files(self, uri: str) -> StageFiles:
        return StageFiles(self.stores.results, uri)
