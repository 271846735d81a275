"""Publication of rules: refused rules change nothing, and rules that are not loaded are reported."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.model.errors import BellwetherError, PrometheusUnavailable, RulesError, RulesRefused
from include.perf.monitoring.rule_groups import DIGEST_RECORD, RULES_FILE
from include.perf.monitoring.rule_limits import RuleLimits, read_limits
from include.perf.monitoring.rule_writer import LOADED_WITHIN_S, Draft, LoadedRule, Publisher
from tests.perf.monitoring.rules_in_tests import FakeChecker, cell_limits, draft_of

OLD, NEW = draft_of(cell_limits(0.5), rules="old", digest="old"), draft_of(cell_limits(0.6), rules="new")


@dataclass(slots=True)
class FakeServer:
    """Loads the rules after a number of look-ups; ``problem`` is raised by a reload, ``refused`` returned."""

    digest: str = "new"
    looks_needed: int = 1
    problem: BellwetherError | None = None
    refused: str | None = None
    error: str = ""
    reloads: int = 0
    looks: int = 0

    def reload(self) -> str | None:
        self.reloads += 1
        if self.problem is not None:
            raise self.problem
        return self.refused

    def loaded(self) -> tuple[LoadedRule, ...]:
        self.looks += 1
        if self.looks < self.looks_needed:
            return ()
        digest = LoadedRule(name=DIGEST_RECORD, labels={"digest": self.digest})
        return (digest, LoadedRule(name="bellwether:cpu", labels={}, error=self.error), LoadedRule(name="x", labels={}))


class Place:
    """A folder of rules with its publisher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checker = FakeChecker()
        self.waited_s: list[float] = []

    def publish(self, draft: Draft, server: FakeServer | None = None) -> list[str]:
        """Publish a draft, and return the descriptions of the changes."""
        store = RulesFolder(self.folder)
        publisher = Publisher(store=store, checker=self.checker, server=server, wait=self.waited_s.append)
        return [change.words for change in publisher.publish(lambda before: draft)]

    @property
    def found(self) -> tuple[str | None, RuleLimits | None]:
        """The published rules and limits."""
        rules = self.folder / RULES_FILE
        return (rules.read_text() if rules.exists() else None), read_limits(self.folder / "limits.json")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder that does not exist yet."""
    return Place(tmp_path / "rules")


@pytest.fixture
def filled(place: Place) -> Place:
    """A folder with the previous rules."""
    place.publish(OLD)
    return place


def test_checked_rules_are_published(place: Place) -> None:
    """Rules and limits, all limits reported as new; no other file for Prometheus is left."""
    assert place.publish(NEW) == ["warning 600 ms", "critical 720 ms"]
    assert place.found == ("new", NEW.limits)
    assert place.checker.checked == [(b"new", b"tests", RULES_FILE)]
    assert [path.name for path in place.folder.glob("*.yaml")] == [RULES_FILE]


def test_a_draft_gets_the_limits_in_force(filled: Place) -> None:
    """They are locked meanwhile."""
    seen = []

    def make(before: RuleLimits) -> Draft:
        seen.append(before)
        return NEW

    publisher = Publisher(store=RulesFolder(filled.folder), checker=filled.checker, server=None, wait=lambda _: None)
    publisher.publish(make)
    assert seen == [OLD.limits]


@pytest.mark.parametrize("problem", [RulesRefused("line 3 is wrong"), RulesError("promtool is missing")])
def test_rules_that_fail_the_check_change_nothing(filled: Place, problem: RulesError) -> None:
    """Invalid rules, or a check that cannot run: the old files stay, and Prometheus is not reloaded."""
    filled.checker.problem = problem
    server = FakeServer()
    with pytest.raises(RulesError, match=str(problem)):
        filled.publish(NEW, server)
    assert (filled.found, server.reloads) == (("old", OLD.limits), 0)


def test_rules_that_prometheus_refuses_are_rolled_back(filled: Place) -> None:
    """Otherwise its next start would fail."""
    with pytest.raises(RulesRefused, match="cannot load"):
        filled.publish(NEW, FakeServer(problem=RulesRefused("cannot load")))
    assert filled.found == ("old", OLD.limits)


def test_first_rules_that_prometheus_refuses_are_removed(place: Place) -> None:
    """There were no files before."""
    with pytest.raises(RulesRefused):
        place.publish(NEW, FakeServer(problem=RulesRefused("cannot load")))
    assert place.found == (None, None)


def test_loading_is_awaited(filled: Place) -> None:
    """Prometheus answers a reload before all rules are loaded, so it is polled."""
    server = FakeServer(looks_needed=4)
    filled.publish(NEW, server)
    assert (server.reloads, server.looks, filled.waited_s) == (1, 4, [0.5, 0.5, 0.5])


def test_a_prometheus_that_reads_another_folder_is_an_error(filled: Place) -> None:
    """After half a minute: the file is valid and stays; rule_files is missing."""
    with pytest.raises(RulesError) as caught:
        filled.publish(NEW, FakeServer(digest="another"))
    assert str(caught.value) == (
        f"the rules in {filled.folder / RULES_FILE} are valid and in place, but Prometheus did not load them: they are "
        "not loaded after 30 s; add the file to rule_files in Prometheus' configuration"
    )
    assert sum(filled.waited_s) == LOADED_WITHIN_S
    assert filled.found == ("new", NEW.limits)


def test_a_prometheus_that_reloads_on_its_own(filled: Place) -> None:
    """It refuses requests to reload, and has the rules a few seconds later."""
    server = FakeServer(refused="403: off", looks_needed=9)
    filled.publish(NEW, server)
    assert (server.looks, sum(filled.waited_s)) == (9, 4.0)


def test_a_prometheus_that_does_not_reload_at_all(filled: Place) -> None:
    """The rules stay in place; the error names the ways to have them loaded."""
    with pytest.raises(RulesError) as caught:
        filled.publish(NEW, FakeServer(digest="another", refused="403: off"))
    assert str(caught.value) == (
        f"the rules in {filled.folder / RULES_FILE} are valid and in place, but Prometheus did not load them: it does "
        "not reload on request (403: off), and has not done so on its own within 30 s; send it SIGHUP when the file "
        "changes, as compose/prometheus/start.sh does, start it with --web.enable-lifecycle where only Bellwether "
        "reaches its port, or set reload_rules: false in scenarios.yaml and reload it by hand"
    )
    assert filled.found == ("new", NEW.limits)


def test_a_prometheus_that_is_down_loads_the_rules_when_it_starts(filled: Place) -> None:
    """The rules stay in place; the error says that they are not loaded."""
    with pytest.raises(RulesError, match="did not load them: it is down"):
        filled.publish(NEW, FakeServer(problem=PrometheusUnavailable("it is down")))
    assert filled.found == ("new", NEW.limits)


def test_rules_that_cannot_be_evaluated_are_logged(filled: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Only Bellwether's rules are."""
    filled.publish(NEW, FakeServer(error="many-to-many matching not allowed"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Prometheus cannot evaluate 1 of our rules: bellwether:cpu: many-to-many matching not allowed"
    ]


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    """With the setting of its path."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(RulesError, match="check BELLWETHER_RULES"):
        Place(tmp_path / "file" / "rules").publish(NEW)
