"""The progress report of a load process, sent once a second."""

from typing import Any

from include.load.drive import Drive
from include.load.processor import WantedCores
from include.load.record import RequestLog


class ProgressReport:
    """What happened since the previous report; delays are counts, so those of several workers can be added."""

    def __init__(self, drive: Drive, log: RequestLog) -> None:
        self._drive = drive
        self._log = log
        self._wanted = WantedCores()
        self._released = 0
        self._reported_s = 0.0

    def make(self) -> dict[str, Any]:
        """Return the report in the form that `include.perf.load.generator` reads."""
        drive, log = self._drive, self._log
        elapsed_s = drive.elapsed_s
        since_s = max(0.001, elapsed_s - self._reported_s)
        report = {
            "elapsed_s": elapsed_s,
            "rate_rps": (drive.released - self._released) / since_s,
            "due": drive.due,
            "sent": drive.sent,
            "finished": log.finished,
            "failed": log.failed,
            "in_flight": drive.in_flight,
            "is_measuring": drive.is_measuring,
            "latencies": log.latencies.take(),
            "lags": drive.take_lags(),
            "waits": drive.waits(),
            "wanted_cores": self._wanted.take(),
        }
        self._released, self._reported_s = drive.released, max(0.0, elapsed_s)
        return report
