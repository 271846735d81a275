"""Journeys with prepared requests, for loads in virtual time and over sockets."""

import random
from typing import Any

from include.load.arrival import EndpointRequests
from include.load.journey import JourneyRequests
from include.perf.catalogue.expectation import Expectation
from include.perf.catalogue.journey import Journey
from include.perf.load.request_template import RequestTemplate
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import SlotRequests
from include.perf.load.wire import wire_format

QUOTE: dict[str, Any] = {
    "name": "quote",
    "method": "GET",
    "path": "/quotes",
    "capture": {"quoted": {"json": "price"}},
}
PLACE: dict[str, Any] = {
    "name": "place",
    "method": "POST",
    "path": "/orders",
    "body": {"price": "$quoted"},
    "capture": {"order_id": {"json": "id"}},
    "think_s": 0.1,
}
POLL: dict[str, Any] = {
    "name": "poll",
    "method": "GET",
    "path": "/orders/$order_id",
    "repeat": {"until": {"json": {"state": "filled"}}, "at_most": 3, "every_s": 0.05},
}
CANCEL: dict[str, Any] = {"name": "cancel", "method": "DELETE", "path": "/orders/$order_id"}


def order_journey(**changes: Any) -> Journey:
    """Return a journey: quote, an order after 0.1 s of thought, polling every 0.05 s, and a cancel in any case."""
    given = {"name": "orders", "steps": [QUOTE, PLACE, POLL], "finally": [CANCEL]} | changes
    return Journey.model_validate(given)


def prepared_journey(journey: Journey, *, base_url: str = "http://gateway") -> JourneyRequests:
    """Return a journey with one prepared request a step."""
    steps = []
    for step in journey.requests:
        template = RequestTemplate(step, headers={})
        request = template.request({})
        slots = template.slots
        wires = [wire_format(step.method, request, base_url=base_url, headers=request.headers, has_slots=bool(slots))]
        values = SlotValues(slots, {}, Draw(journey=journey.name))
        requests = EndpointRequests(
            name=step.name,
            method=step.method,
            weight=step.weight,
            wires=wires,
            check=(step.expect or Expectation()).compiled(),
            slots=SlotRequests(wires, values) if slots else None,
        )
        steps.append((requests, slots))
    return JourneyRequests(journey, steps, random.Random(1))
