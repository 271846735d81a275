"""A service under test that is healthy unless a test says otherwise."""

from collections.abc import Sequence
from typing import Any

from include.perf.catalogue.service import Service
from include.perf.load.feed import Request
from include.perf.load.wire import Answered
from include.perf.model.errors import TargetError

GOOD = Answered(status=200, body=b"{}", took_s=0.01)


class FakeTarget:
    """A service that is healthy unless ``problem`` says otherwise.

    Attributes:
        documents: what it answers at a path, one after another, the last one again and again.
        secret: what `masked` removes.
        answers: what a request gets by its path; an error is raised, and of a list each in its turn. Any other
            request gets 200 after 10 ms.
        asked: the addresses of every question, requests among them.
        sent: service, method and request of each request, in order.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.secret: str | None = None
        self.documents: list[Any] = []
        self.answers: dict[str, Answered | TargetError | list[Answered | TargetError]] = {}
        self.checks: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.sent: list[tuple[str, str, Request]] = []

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Record the call; fail if the test wants that."""
        self.asked.append(tuple(addresses))
        self.checks.append(service.name)
        if self.problem is not None:
            raise TargetError(self.problem)

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Answer with the next document."""
        self.asked.append(tuple(addresses))
        if not self.documents:
            raise TargetError(f"GET {service.base_url}{path} returned 404 instead of 200")
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]

    def masked(self, service: Service, text: str, *, is_cut: bool = False) -> str:
        """Remove the secret."""
        return text if self.secret is None else text.replace(self.secret, "***")

    def send(self, service: Service, method: str, request: Request, addresses: Sequence[str]) -> Answered:
        """Note the request, and answer it."""
        self.asked.append(tuple(addresses))
        self.sent.append((service.name, method, request))
        answer = self.answers.get(request.target.partition("?")[0], GOOD)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, TargetError):
            raise answer
        return answer
