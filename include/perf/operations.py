"""What holds for all scenarios together; the outermost settings of ``scenarios.yaml``."""

from typing import Annotated

from pydantic import Field

from include.perf.entry import Entry
from include.perf.load_profile import MAX_RATE_RPS, MIN_RATE_RPS

Days = Annotated[int, Field(ge=1, le=3650)]
Channel = Annotated[str, Field(min_length=1, max_length=81)]


class Operations(Entry):
    """How the pipeline itself is run.

    Attributes:
        capacity_rps: what all load generators together can send, in requests per second; loads that would need more
            wait for one another.
        ops_channel: where failures of the pipeline itself are told, which say nothing of a service.
        digest_channel: where improvements and suspicions are told; ``None`` for nowhere.
        quiet_summary: tell there of nights without anything, too.
        critical_mention: the ID of the Slack user group that a critical regression calls.
        reload_rules: let Prometheus load the alert rules whenever they were written; it must be started with
            ``--web.enable-lifecycle``.
        keep_requests_days: after which the raw requests of a run are removed, unless a baseline refers to it.
        keep_unfinished_days: after which a run that was never finished is removed, if nothing of it changed.
    """

    capacity_rps: Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)] = 600
    ops_channel: Channel = "#performance-ops"
    digest_channel: Channel | None = "#performance-digest"
    quiet_summary: bool = False
    critical_mention: Annotated[str, Field(pattern=r"^S[A-Z0-9]{2,20}$")] | None = None
    reload_rules: bool = False
    keep_requests_days: Days = 30
    keep_unfinished_days: Days = 7
