"""data-pipeline-service: pipelines, their sources and steps, and jobs that run them."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.prices import FloatArray
from demo.platform.responses import JsonResponse, not_found, rounded, span
from demo.platform.sources import coverage, list_sources
from demo.platform.transformations import DEFAULT_WINDOW, PIPELINES, TRANSFORMATIONS, run_pipeline
from demo.platform.windows import WindowQuery

_DECIMALS = 8
_PREVIEW = 5


class JobParameters(WindowQuery):
    """What a job runs on; keys it does not know are passed over."""

    window: Annotated[int, Field(ge=2, le=60, description="Values a smoothing step looks back")] = DEFAULT_WINDOW


class JobRequest(BaseModel):
    """Which pipeline, with which parameters."""

    pipeline_id: Annotated[str, Field(min_length=1, max_length=64)]
    parameters: JobParameters = JobParameters()


class _DataPipeline:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def pipelines(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the pipelines and what the window would give them to do."""
        bars = query.bars(now_s=self._clock())
        rows = [
            {"pipeline_id": p.pipeline_id, "description": p.description, "steps": p.steps} for p in PIPELINES.values()
        ]
        return JsonResponse(
            {"instrument": query.pair().name, **span(bars), "pending": coverage(bars), "pipelines": rows}
        )

    async def data_sources(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the sources that cover the instrument, or all, with a summary of the window."""
        return JsonResponse(list_sources(query, now_s=self._clock()))

    async def transformations(self, query: Annotated[WindowQuery, Query()]) -> JsonResponse:
        """List the transformations with their last values on the window's closing prices."""
        bars = query.bars(now_s=self._clock())
        rows = [
            {
                "name": t.name,
                "description": t.description,
                "preview": rounded(t.apply(bars.close, DEFAULT_WINDOW)[-_PREVIEW:], _DECIMALS),
            }
            for t in TRANSFORMATIONS.values()
        ]
        return JsonResponse({"instrument": query.pair().name, **span(bars), "transformations": rows})

    async def jobs(self, request: JobRequest) -> JsonResponse:
        """Run a pipeline over the closing prices of a window, now and in full."""
        pipeline = PIPELINES.get(request.pipeline_id)
        if pipeline is None:
            raise not_found("pipeline_id", request.pipeline_id, PIPELINES)
        parameters = request.parameters
        bars = parameters.bars(now_s=self._clock())
        output = run_pipeline(pipeline, bars.close, window=parameters.window)
        return JsonResponse(
            {
                "pipeline_id": pipeline.pipeline_id,
                "status": "succeeded",
                "instrument": parameters.pair().name,
                "timeframe": parameters.timeframe,
                **span(bars),
                "steps": pipeline.steps,
                **_result(output),
            }
        )


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints; they keep nothing."""
    service = _DataPipeline(clock)
    return (
        ApiEndpoint(method="GET", path="/api/v1/pipelines", handler=service.pipelines),
        ApiEndpoint(method="GET", path="/api/v1/data-sources", handler=service.data_sources),
        ApiEndpoint(method="GET", path="/api/v1/transformations", handler=service.transformations),
        ApiEndpoint(method="POST", path="/api/v1/jobs", handler=service.jobs),
    )


def _result(output: FloatArray) -> dict[str, Any]:
    return {
        "rows": len(output),
        "checksum": hashlib.sha256(output.astype("<f8").tobytes()).hexdigest()[:16],
        "mean": round(float(output.mean()), _DECIMALS),
        "deviation": round(float(output.std()), _DECIMALS),
        "preview": rounded(output[-_PREVIEW:], _DECIMALS),
    }
