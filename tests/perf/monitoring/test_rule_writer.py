"""Putting rules in place: all of it or nothing where they are refused, and what is said where they are not loaded."""

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
    """Loads whatever it is told to, after so many looks; ``problem`` is raised on a reload."""

    digest: str = "new"
    looks_needed: int = 1
    problem: BellwetherError | None = None
    error: str = ""
    reloads: int = 0
    looks: int = 0

    def reload(self) -> None:
        self.reloads += 1
        if self.problem is not None:
            raise self.problem

    def loaded(self) -> tuple[LoadedRule, ...]:
        self.looks += 1
        if self.looks < self.looks_needed:
            return ()
        digest = LoadedRule(name=DIGEST_RECORD, labels={"digest": self.digest})
        return (digest, LoadedRule(name="bellwether:cpu", labels={}, error=self.error), LoadedRule(name="x", labels={}))


class Place:
    """A folder of rules, and the publisher that puts drafts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checker = FakeChecker()
        self.waited_s: list[float] = []

    def publish(self, draft: Draft, server: FakeServer | None = None) -> list[str]:
        """Put a draft in place, and return the words of what changed."""
        store = RulesFolder(self.folder)
        publisher = Publisher(store=store, checker=self.checker, server=server, wait=self.waited_s.append)
        return [change.words for change in publisher.publish(lambda before: draft)]

    @property
    def found(self) -> tuple[str | None, RuleLimits | None]:
        """The rules and the limits that are there."""
        rules = self.folder / RULES_FILE
        return (rules.read_text() if rules.exists() else None), read_limits(self.folder / "limits.json")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder that is not there yet."""
    return Place(tmp_path / "rules")


@pytest.fixture
def filled(place: Place) -> Place:
    """A folder with the rules before."""
    place.publish(OLD)
    return place


def test_checked_rules_are_put_in_place(place: Place) -> None:
    """Rules and limits, and every limit is told as new; nothing but these two is left that Prometheus would read."""
    assert place.publish(NEW) == ["warning 600 ms", "critical 720 ms"]
    assert place.found == ("new", NEW.limits)
    assert place.checker.checked == [(b"new", b"tests", RULES_FILE)]
    assert [path.name for path in place.folder.glob("*.yaml")] == [RULES_FILE]


def test_a_draft_is_made_knowing_what_is_in_force(filled: Place) -> None:
    """While nobody else can change it."""
    seen = []

    def make(before: RuleLimits) -> Draft:
        seen.append(before)
        return NEW

    publisher = Publisher(store=RulesFolder(filled.folder), checker=filled.checker, server=None, wait=lambda _: None)
    publisher.publish(make)
    assert seen == [OLD.limits]


@pytest.mark.parametrize("problem", [RulesRefused("line 3 is wrong"), RulesError("there is no promtool")])
def test_what_promtool_does_not_pass_changes_nothing(filled: Place, problem: RulesError) -> None:
    """Wrong rules, or nobody who could tell: the old ones stay, and Prometheus is not even asked."""
    filled.checker.problem = problem
    server = FakeServer()
    with pytest.raises(RulesError, match=str(problem)):
        filled.publish(NEW, server)
    assert (filled.found, server.reloads) == (("old", OLD.limits), 0)


def test_what_prometheus_refuses_is_taken_back(filled: Place) -> None:
    """With its next start it would read the file again, and not start."""
    with pytest.raises(RulesRefused, match="cannot load"):
        filled.publish(NEW, FakeServer(problem=RulesRefused("cannot load")))
    assert filled.found == ("old", OLD.limits)


def test_what_prometheus_refuses_at_first_leaves_no_file(place: Place) -> None:
    """Where there was none before."""
    with pytest.raises(RulesRefused):
        place.publish(NEW, FakeServer(problem=RulesRefused("cannot load")))
    assert place.found == (None, None)


def test_rules_are_seen_to_be_loaded(filled: Place) -> None:
    """Prometheus answers a reload before its rules are all there: it is asked until they are."""
    server = FakeServer(looks_needed=4)
    filled.publish(NEW, server)
    assert (server.reloads, server.looks, filled.waited_s) == (1, 4, [0.5, 0.5, 0.5])


def test_a_prometheus_that_reads_another_folder_is_told_of(filled: Place) -> None:
    """After half a minute: the file is right and stays, and what is missing is rule_files."""
    with pytest.raises(RulesError) as caught:
        filled.publish(NEW, FakeServer(digest="another"))
    assert str(caught.value) == (
        f"{filled.folder / RULES_FILE} is checked and in place, but Prometheus was not seen to load it: after 30 s it "
        "is not among its rules; name it in rule_files of Prometheus' configuration"
    )
    assert sum(filled.waited_s) == LOADED_WITHIN_S
    assert filled.found == ("new", NEW.limits)


def test_a_prometheus_that_is_down_loads_them_when_it_starts(filled: Place) -> None:
    """The rules stay in place, and that they were not seen to be loaded is said."""
    with pytest.raises(RulesError, match="was not seen to load it: it is down"):
        filled.publish(NEW, FakeServer(problem=PrometheusUnavailable("it is down")))
    assert filled.found == ("new", NEW.limits)


def test_a_rule_that_cannot_be_evaluated_is_warned_of(filled: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Loaded is not the same as working; rules of others are nobody's business here."""
    filled.publish(NEW, FakeServer(error="many-to-many matching not allowed"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Prometheus cannot evaluate 1 of our rules: bellwether:cpu: many-to-many matching not allowed"
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """With the setting that says where it is."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(RulesError, match="check BELLWETHER_RULES"):
        Place(tmp_path / "file" / "rules").publish(NEW)
