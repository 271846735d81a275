"""What holds for all scenarios together; the outermost settings of ``scenarios.yaml``."""

from typing import Annotated

from pydantic import Field

from include.perf.entry import Entry
from include.perf.load_profile import MAX_RATE_RPS, MIN_RATE_RPS


class Operations(Entry):
    """How the pipeline itself is run.

    Attributes:
        capacity_rps: what all load generators together can send, in requests per second; loads that would need more
            wait for one another.
        ops_channel: where failures of the pipeline itself are told, which say nothing of a service.
    """

    capacity_rps: Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)] = 600
    ops_channel: Annotated[str, Field(min_length=1)] = "#performance-ops"
