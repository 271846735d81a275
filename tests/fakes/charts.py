"""A renderer that draws one empty chart."""

from collections.abc import Sequence
from pathlib import Path

from include.perf.measure.distribution import Distribution
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import LeftOut, log_left_out


class FakeCharts:
    """Draws one empty chart; ``problem`` is raised instead.

    Attributes:
        baselines: the distributions that each was to be drawn beside.
    """

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.baselines: list[tuple[Distribution, ...]] = []

    def render(
        self,
        record: RunRecord,
        folder: Path,
        *,
        baseline: Sequence[Distribution] = (),
        left_out: LeftOut = log_left_out,
    ) -> dict[str, str]:
        """Write a file where a chart would be."""
        self.baselines.append(tuple(baseline))
        if self.problem is not None:
            raise self.problem
        (folder / "charts").mkdir(exist_ok=True)
        (folder / "charts" / "latency.png").write_bytes(record.run_id.encode())
        return {"latency": "charts/latency.png"}
