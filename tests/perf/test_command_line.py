"""The command line: exit codes, output, and the changes in the stores."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from include.perf import __main__ as command_line
from include.perf.adapters.wiring.environment import halt_file
from include.perf.adapters.wiring.prometheus_access import PrometheusAccess
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.reading import load_catalogue
from include.perf.cli import run_commands
from include.perf.load.wire import Answered
from include.perf.model.errors import StoreError
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside
from include.perf.runs.record import Verdict
from tests.fakes.failing import raising
from tests.fakes.generator import NO_RECORD
from tests.fakes.metrics import healthy_answers
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.fakes.small_platform import Platform
from tests.records import record_of

RUN = ("run", "--service", "orders", "--scenario", "brief")
UPDATE = ("--update-baseline", "--reason", "first [level] :ok: of [/v2]")


def write_catalogue(folder: Path) -> None:
    """Write the small service and scenario to catalogue files."""
    for name, entry in (("services", small_service()), ("scenarios", small_scenario())):
        settings = entry.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        document = {"schema_version": 1, name: {entry.name: settings}}
        if name == "services":
            document["forbidden_hosts"] = ["192.0.2.0/24"]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


class Shell:
    """Runs commands with real files and fakes for the outside world."""

    def __init__(self, platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
        self.platform = platform
        self._capsys = capsys

    def outside(self, *_: Any, **__: Any) -> Outside:
        """Return the fakes on the catalogue, the results and the baselines that the environment names."""
        storage = Storage()
        stores = replace(
            self.platform.stores,
            catalogue=load_catalogue(),
            results=storage.results(),
            baselines=storage.baselines(),
        )
        return replace(self.platform.outside, stores=stores)

    def __call__(self, *arguments: str, code: int, out: str = "", err: str = "") -> str:
        """Run a command; it must end with ``code`` and print ``out`` and ``err`` somewhere; return its output."""
        try:
            found = command_line.main(arguments)
        except SystemExit as left:
            found = int(left.code or 0)
        printed = self._capsys.readouterr()
        assert found == code, printed
        assert out in printed.out
        assert err in printed.err if err else printed.err == ""
        return printed.out

    def run_ids(self) -> list[str]:
        """Return the ids of all finished runs, in the order in which they were made."""
        return [uri.rpartition("/")[2] for uri in Storage().results().runs()]

    def faster(self, latency_s: float) -> None:
        """Move the clock on by a minute, and change the latency of the service."""
        self.platform.clock.move(60)
        self.platform.generator.latency_s = latency_s


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell with its own stores."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(tmp_path))
    monkeypatch.setenv("BELLWETHER_HALT_FILE", str(tmp_path / "halt.json"))
    monkeypatch.delenv("BELLWETHER_INDEX", raising=False)
    monkeypatch.setenv("LOGNAME", "ana")
    made = Shell(Platform(tmp_path), capsys)
    write_catalogue(tmp_path)
    monkeypatch.setattr("include.perf.adapters.wiring.environment.build_outside", made.outside)
    monkeypatch.setattr(command_line, "clock", made.platform.clock)
    return made


# run


def test_the_first_run(shell: Shell, tmp_path: Path) -> None:
    """A missing baseline is no failure; the verdict, its reasons and the URI of the report are printed."""
    out = shell(*RUN, code=0, out="NO_BASELINE · orders-service · brief – Latency p95 is ")
    assert "\n  - there is no baseline yet; to record one, trigger a run with update_baseline\n" in out
    (run_id,) = shell.run_ids()
    assert f"\n  file://{tmp_path}/results/orders-service/brief/{run_id}/report.md\n" in out
    assert "Latency p95" in (tmp_path / "results/orders-service/brief" / run_id / "report.md").read_text("utf-8")


def test_a_run_that_is_promoted(shell: Shell, tmp_path: Path) -> None:
    """The baseline has the name and the reason, word for word."""
    shell(*RUN, *UPDATE, code=0, out="\n  baseline version 1 recorded: first [level] :ok: of [/v2]\n")
    document = json.loads((tmp_path / "baselines.json").read_bytes())
    approval = document["orders-service"]["brief"]["approval"]
    assert (approval["by"], approval["reason"]) == ("ana", "first [level] :ok: of [/v2]")
    assert [approval["run_id"]] == shell.run_ids()


@pytest.mark.parametrize(
    ("latency_s", "code", "verdict"),
    [(0.04, 0, "PASS"), (0.01, 0, "IMPROVEMENT"), (0.08, 1, "REGRESSION")],
)
def test_exit_code_by_verdict(shell: Shell, latency_s: float, code: int, verdict: str) -> None:
    """0 without a regression, 1 with one."""
    shell(*RUN, *UPDATE, code=0)
    shell.faster(latency_s)
    shell(*RUN, code=code, out=f"{verdict} · orders-service · brief – ")


def test_the_exit_code_without_a_verdict(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    """3 for invalid, not comparable and skipped; the reason is printed."""
    shell(*RUN, *UPDATE, code=0)
    shell(
        *RUN, "--rate", "50", code=3, out="NOT_COMPARABLE · orders-service · brief – not comparable with its baseline"
    )
    shell.platform.generator.problem = NO_RECORD
    shell(*RUN, code=3, out=f"\n  - {NO_RECORD}\n")
    shell.platform.halt_reason = "load is halted by ana: release"
    shell(*RUN, code=3, out="SKIPPED · orders-service · brief – nothing was measured: load is halted by ana: release")
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        str(NO_RECORD),
        "load is halted by ana: release",
    ]


def test_a_regression_that_should_become_the_baseline_stays_a_regression(shell: Shell, tmp_path: Path) -> None:
    """Exit code 1, the refusal on stderr, and the baseline unchanged."""
    shell(*RUN, *UPDATE, code=0)
    before = (tmp_path / "baselines.json").read_bytes()
    shell.faster(0.08)
    shell(*RUN, *UPDATE, code=1, out="REGRESSION · ", err="is REGRESSION and is only promoted by force")
    assert (tmp_path / "baselines.json").read_bytes() == before


def test_a_promotion_that_fails_is_no_success(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good run whose baseline could not be written ends with 2, because the request was not fulfilled."""
    path = tmp_path / "baselines.json"
    monkeypatch.setattr(
        "include.perf.adapters.files.locked_file.write_atomically", raising(OSError(28, "No space left on device"))
    )
    shell(
        *RUN,
        *UPDATE,
        code=2,
        out="NO_BASELINE · ",
        err=f"bellwether: cannot write {path}: No space left on device; check BELLWETHER_BASELINES\n",
    )


def test_an_invalid_run_is_not_promoted(shell: Shell, tmp_path: Path) -> None:
    """The promotion is not even tried."""
    shell.platform.generator.problem = NO_RECORD
    shell(*RUN, *UPDATE, code=3, out="INVALID · ")
    assert not (tmp_path / "baselines.json").exists()


def test_all_problems_of_a_run_are_reported_at_once(shell: Shell, tmp_path: Path) -> None:
    """Exit code 2, all problems on stderr, nothing on stdout, no run."""
    (tmp_path / "baselines.json").write_text("{", encoding="utf-8")
    arguments = ("run", "--service", "ordres", "--scenario", "brief", "--duration", "5", "--rate", "0")
    expected = (
        "bellwether: 5 problems:\n"
        "  - update_baseline needs a reason; it is stored with the baseline\n"
        f"  - {tmp_path / 'baselines.json'} is not valid JSON (Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)); restore it from version control\n"
        "  - rate_rps: should be greater than or equal to 0.1, but is 0.0\n"
        "  - duration_s: should be greater than or equal to 10, but is 5\n"
        "  - service 'ordres' is not in the catalogue; known: orders-service\n"
    )
    assert shell(*arguments, "--update-baseline", code=2, err=expected) == ""
    assert shell.run_ids() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run",), "bellwether: name a --service and a --scenario, or give --all for all that are not named\n"),
        (("run", "--service", "orders"), "or give --all for all that are not named\n"),
        (("run", "--scenario", "brief"), "or give --all for all that are not named\n"),
        (("run", "--all", "--duration", "soon"), "argument --duration: invalid int value: 'soon'"),
        (("fly",), "invalid choice: 'fly'"),
        ((), "the following arguments are required: command"),
        (("baselines",), "the following arguments are required: action"),
        (("baselines", "promote", "r1"), "the following arguments are required: --reason"),
    ],
)
def test_wrong_use(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2 and the missing argument on stderr."""
    shell(*arguments, code=2, err=message)


def test_settings_of_the_load(shell: Shell) -> None:
    """Rate and duration are used for the run."""
    shell.platform.metrics.answers |= healthy_answers("12000ms")
    shell(*RUN, "--rate", "8.5", "--duration", "12", code=3)  # 10 scrapes of 12 − 1 are 91 %
    (load,) = shell.platform.generator.loads
    assert (load.rate_rps, load.duration_s) == (8.5, 12)


def test_all_runs_every_service_and_prints_a_matrix(shell: Shell, tmp_path: Path) -> None:
    """One line per run; the worst verdict gives the exit code."""
    services = yaml.safe_load((tmp_path / "services.yaml").read_text(encoding="utf-8"))
    services["services"]["engine"] = services["services"]["orders-service"]
    (tmp_path / "services.yaml").write_text(yaml.safe_dump(services), encoding="utf-8")
    shell("run", "--scenario", "brief", "--all", *UPDATE, code=0)
    shell.faster(0.08)
    shell.platform.catalogue.services["engine"] = small_service(name="engine")  # type: ignore[index]
    out = shell("run", "--all", *UPDATE, code=1, err="is REGRESSION and is only promoted by force")
    rows = [re.split(r"\s*│\s*", line)[1:4] for line in out.splitlines() if line.startswith("│")]
    assert sorted(rows) == [
        ["engine", "brief", "REGRESSION"],
        ["orders-service", "brief", "REGRESSION"],
    ]
    assert len(shell.platform.generator.loads) == 8  # two first runs, two later, and each of those twice more
    (line,) = [line.strip() for line in out.splitlines() if line.endswith("/summary.md")]
    summary = Path(line.removeprefix("file://"))
    assert summary.parent.parent == tmp_path / "results" / "summaries" / "command_line"
    assert "2 runs: 2 REGRESSION" in summary.read_text(encoding="utf-8")
    assert summary.with_suffix(".html").is_file()


def test_a_single_run_has_no_summary(shell: Shell, tmp_path: Path) -> None:
    """Its report is enough."""
    assert "summary.md" not in shell(*RUN, code=0)
    assert not (tmp_path / "results" / "summaries").exists()


def test_verdicts_for_ci(shell: Shell, tmp_path: Path) -> None:
    """All runs in one file; a file that cannot be written is refused before any load is sent."""
    shell(*RUN, "--junit", str(tmp_path / "junit.xml"), code=0)
    written = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert '<testsuites name="bellwether" tests="8" failures="0" errors="0">' in written
    missing = tmp_path / "nowhere" / "junit.xml"
    shell(*RUN, "--junit", str(missing), code=2, err=f"there is no folder {missing.parent}; create it first")
    assert len(shell.platform.generator.loads) == 1


def test_a_suspicious_run_gets_re_runs(shell: Shell) -> None:
    """Unless they are turned off: then a single run decides."""
    shell(*RUN, *UPDATE, code=0)
    shell.faster(0.08)
    shell(*RUN, code=1, out="REGRESSION · orders-service · brief")
    assert len(shell.platform.generator.loads) == 4
    shell.platform.clock.move(86_400)
    shell(*RUN, "--no-reruns", code=1, out="REGRESSION · orders-service · brief")
    assert len(shell.platform.generator.loads) == 5


def with_engine(tmp_path: Path) -> None:
    """Add a service, and a longer scenario that loads only that service."""
    for name, key, like, changes in (
        ("services.yaml", "services", "orders-service", {}),
        ("scenarios.yaml", "scenarios", "brief", {"services": ["engine"], "load": {"rate_rps": 40, "duration_s": 20}}),
    ):
        document = yaml.safe_load((tmp_path / name).read_text(encoding="utf-8"))
        document[key]["engine" if key == "services" else "storm"] = document[key][like] | changes
        (tmp_path / name).write_text(yaml.safe_dump(document), encoding="utf-8")


def test_all_scenarios_of_a_service_are_those_that_load_it(shell: Shell, tmp_path: Path) -> None:
    """A scenario that loads only the engine is left out; the engine gets both."""
    with_engine(tmp_path)
    out = shell("run", "--all", "--service", "orders", "--dry-run", code=0)
    assert heads(out) == ["brief · orders-service (staging): would be sent"]
    shell("run", "--all", "--service", "orders", code=0, out="NO_BASELINE · orders-service · brief – ")
    assert len(shell.platform.generator.loads) == 1
    out = shell("run", "--all", "--service", "engine", "--dry-run", code=0)
    assert heads(out) == [
        "brief · engine (staging): would be sent",
        "storm · engine (staging): would be sent",
    ]


def test_a_service_that_no_scenario_loads(shell: Shell, tmp_path: Path) -> None:
    """Without the error it would look as if everything was fine."""
    with_engine(tmp_path)
    path = tmp_path / "scenarios.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["scenarios"]["brief"]["services"] = ["engine"]
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    message = "bellwether: no scenario loads 'orders-service'; name it in the services of one, in scenarios.yaml\n"
    shell("run", "--all", "--service", "orders", code=2, err=message)


def heads(out: str) -> list[str]:
    """Return the first line of each load of a dry run."""
    return [block.splitlines()[0] for block in out.split("\n\n")]


# run --dry-run


def test_a_dry_run_shows_what_would_be_sent(shell: Shell) -> None:
    """Exit code 0; nothing is sent to the service, and there is no run."""
    out = shell(*RUN, "--dry-run", "--rate", "8.5", code=0)
    lines = out.splitlines()
    assert lines[:4] == [
        "brief · orders-service (staging): would be sent",
        "  to       http://orders-service:8000 (10.0.0.7)",
        "  when     2026-03-02 06:30:00 UTC at the earliest, over by 2026-03-02 06:30:25 UTC",
        "  load     8.5/s for 10 s after 5 s of warm-up: 127 requests",
    ]
    assert [line.split()[:3] for line in lines[4:]] == [
        ["64", "POST", "/orders"],
        ["63", "GET", "/positions?instrument=EUR_USD"],
    ]
    assert (shell.platform.target.asked, shell.platform.generator.orders) == ([], [])
    assert list(Path(urlsplit(Storage().results().root_uri).path).glob("*")) == []


def test_a_dry_run_of_a_refused_load_ends_with_3(shell: Shell) -> None:
    """The output contains the reason."""
    shell.platform.halt_reason = "load is halted by ana: release"
    out = shell(*RUN, "--dry-run", code=3, out="\n  refused: load is halted by ana: release\n")
    assert out.startswith("brief · orders-service (staging): would NOT be sent\n")


def test_a_dry_run_of_a_wrong_request_ends_with_2(shell: Shell) -> None:
    """Like the run itself."""
    shell(*RUN, "--dry-run", "--duration", "5", code=2, err="duration_s: should be greater than or equal to 10")


# smoke


def test_smoke_of_a_healthy_service(shell: Shell) -> None:
    """Exit code 0 and a table; no run, no baseline."""
    out = shell("smoke", "--service", "orders", code=0)
    assert out.splitlines()[2:] == [
        "| orders-service | place     | good    | 10.0 ms |",
        "| orders-service | positions | good    | 10.0 ms |",
    ]
    assert shell.run_ids() == []


def test_smoke_of_a_failing_service_ends_with_1(shell: Shell) -> None:
    """The output has the endpoint and its answer."""
    shell.platform.target.answers["/orders"] = Answered(status=500, body=b"oops [/v2]")
    shell("smoke", code=1, out="\nPOST /orders: HTTP 500: oops [/v2]\n")


def test_a_refused_smoke_run_ends_with_3(shell: Shell) -> None:
    """Nothing is sent."""
    shell.platform.halt_reason = "load is halted by ana: release"
    assert shell("smoke", code=3, err="bellwether: load is halted by ana: release\n") == ""
    assert shell.platform.target.sent == []


def test_smoke_tries_every_service(shell: Shell, tmp_path: Path) -> None:
    """A refused service is reported next to the table; a failing one decides the exit code."""
    with_engine(tmp_path)
    path = tmp_path / "services.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["services"]["engine"] |= {"base_url": "http://engine:8000", "allowed_hosts": ["engine"]}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    out = shell("smoke", code=3, err="engine")
    assert "| orders-service | place " in out
    assert "| engine " not in out
    shell.platform.target.answers["/orders"] = Answered(status=500, body=b"")
    shell("smoke", code=1, err="engine", out="3 of 3 failed")


def test_smoke_of_an_unknown_service(shell: Shell) -> None:
    """The message lists the known ones."""
    message = "bellwether: service 'x' is not in the catalogue; known: orders-service\n"
    shell("smoke", "--service", "x", code=2, err=message)


# halt and resume


def test_halt_and_resume(shell: Shell, tmp_path: Path) -> None:
    """With the file that the environment names; both print the new state."""
    line = (
        "load is halted by ana since 2026-03-02 06:30:00 UTC: incident [4711] "
        f"(to resume, remove the file {tmp_path / 'halt.json'})\n"
    )
    assert shell("halt", "--reason", "incident [4711]", code=0) == line
    assert halt_file().reason() == line.rstrip("\n")
    assert shell("resume", code=0) == "Resumed. The halt was set by ana at 2026-03-02 06:30:00 UTC: incident [4711]\n"
    assert halt_file().reason() is None
    assert shell("resume", code=0) == "load was not halted\n"


def test_halt_without_a_reason(shell: Shell, tmp_path: Path) -> None:
    """Exit code 2, and load is not halted."""
    shell("halt", code=2, err="the following arguments are required: --reason")
    assert not (tmp_path / "halt.json").exists()


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict.PASS, Verdict.NO_BASELINE), 0),
        ((Verdict.PASS, Verdict.REGRESSION), 1),
        ((Verdict.INVALID, Verdict.REGRESSION, Verdict.PASS), 1),
        ((Verdict.SKIPPED, Verdict.PASS), 3),
    ],
)
def test_the_exit_code_of_several_runs(verdicts: tuple[Verdict, ...], code: int) -> None:
    """A regression decides, even next to a run without a verdict."""
    assert run_commands._exit_code(map(record_of, verdicts)) == code


def test_every_verdict_has_an_exit_code() -> None:
    """1 means that the service needs attention, 3 that the run does."""
    codes = {verdict.value: code for verdict, code in run_commands.EXIT_CODES.items()}
    assert codes == {
        "PASS": 0,
        "IMPROVEMENT": 0,
        "NO_BASELINE": 0,
        "REGRESSION": 1,
        "OVER_LIMIT": 1,
        "INVALID": 3,
        "NOT_COMPARABLE": 3,
        "SKIPPED": 3,
    }


def test_an_error_during_a_run_ends_with_3(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No verdict, the reason on stderr, and no traceback."""
    monkeypatch.setattr(shell.platform.generator, "problem", StoreError("cannot write feed.jsonl: disk full"))
    monkeypatch.setattr(NightStages, "report", raising(StoreError("cannot write report.md: disk full")))
    shell(*RUN, code=3, err="bellwether: cannot write report.md: disk full\n")


def test_prometheus_of_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROMETHEUS_URL is only the default of the option."""
    asked: list[str] = []

    def prometheus_at(url: str) -> PrometheusAccess:
        asked.append(url)
        return PrometheusAccess(url=url, set_in="PROMETHEUS_URL", headers={})

    monkeypatch.setattr("include.perf.adapters.wiring.prometheus_access.prometheus_at", prometheus_at)
    shell(*RUN, code=0)
    monkeypatch.setenv("PROMETHEUS_URL", "http://prometheus:9090")
    shell(*RUN, code=0)
    shell(*RUN, "--prometheus", "http://other:9090", code=0)
    assert asked == ["http://localhost:9090", "http://prometheus:9090", "http://other:9090"]


def test_a_user_without_a_name(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of a container may have none; the number is used instead."""
    monkeypatch.setattr(command_line.getpass, "getuser", raising(KeyError("getpwuid(): uid not found: 50000")))
    monkeypatch.setattr(command_line.os, "getuid", lambda: 50000)
    shell(*RUN, *UPDATE, code=0)
    assert '"by": "uid 50000"' in (tmp_path / "baselines.json").read_text(encoding="utf-8")


# history


def test_past_runs_are_listed_and_the_index_is_rebuilt(shell: Shell, tmp_path: Path) -> None:
    """From the records; nothing is written next to the results."""
    shell(*RUN, code=0)
    (run_id,) = shell.run_ids()
    assert run_id in shell("history", "list", "--service", "orders", "--scenario", "brief", code=0)
    assert not list((tmp_path / "results").glob("*sqlite*"))
    assert shell("history", "rebuild", code=0) == "rebuilt the index: 1 run\n"
    assert shell("history", "prune", "--dry-run", code=0) == "would remove nothing\n"


# compare


def test_compare_judges_a_finished_run_again(shell: Shell) -> None:
    """By its id or its URI, against the baseline as it is now; nothing is written."""
    shell(*RUN, code=0)
    shell.faster(0.02)
    shell(*RUN, *UPDATE, code=0)
    slow, fast = shell.run_ids()
    out = shell("compare", slow, code=1, out=f"REGRESSION orders-service brief {slow}\n  - Latency p50 +9")
    assert out.count("\n  - ") == 3
    address = next(uri for uri in Storage().results().runs() if uri.endswith(fast))
    for reference in (address, f"{address}/run.json", f"{address}/"):
        shell("compare", reference, code=0, out=f"PASS orders-service brief {fast}\n  - no significant change")


def test_compare_of_a_run_without_figures(shell: Shell) -> None:
    """An invalid run stays invalid."""
    shell.platform.generator.problem = NO_RECORD
    shell(*RUN, code=3)
    (run_id,) = shell.run_ids()
    shell("compare", run_id, code=3, out=f"{run_id} is INVALID: {NO_RECORD}\n")


@pytest.mark.parametrize("command", [("compare", "r9"), ("baselines", "promote", "r9", "--reason", "x")])
def test_a_missing_run(shell: Shell, command: tuple[str, ...]) -> None:
    """The message names the variable to check."""
    message = "bellwether: there is no finished run 'r9' in the results store; check BELLWETHER_RESULTS_URI\n"
    shell(*command, code=3, err=message)


def test_a_uri_outside_the_store(shell: Shell, tmp_path: Path) -> None:
    """It is refused."""
    message = f"bellwether: /etc/x is not in the results store {tmp_path / 'results'}\n"
    shell("compare", "/etc/x", code=3, err=message)


def test_an_unknown_kind_of_store(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a wrong configuration."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", "gs://bucket/results")
    shell(*RUN, code=2, err="or s3://bucket/prefix, but is 'gs://bucket/results'\n")


# baselines


def table_of(out: str) -> list[list[str]]:
    """Return the rows of the tables in an output."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def test_baselines_list(shell: Shell) -> None:
    """One line each: service, scenario, version, state, review, who, when and why."""
    shell("baselines", "list", code=0, out="there are no baselines yet\n")
    shell(*RUN, *UPDATE, code=0)
    (row,) = table_of(shell("baselines", "list", code=0))
    assert row[:5] == ["orders-service", "brief", "1", "provisional", "1"]
    assert row[5].endswith(" ms")
    # 29 days left of March, 30 of April, 31 of May, 2 of June: 92
    assert row[6:8] == ["2026-06-02", "0"]
    assert row[8:] == ["ana", "2026-03-02 06:30 UTC", "first [level] :ok: of [/v2]"]


@pytest.mark.parametrize(
    ("days", "state", "due"),
    [(92, "provisional", "overdue since 2026-06-02"), (184, "stale", "expired 2026-09-02")],
)
def test_baselines_list_as_time_goes_by(shell: Shell, days: int, state: str, due: str) -> None:
    """Due and expired baselines are marked; a night since then counts, the promoted run does not."""
    shell(*RUN, *UPDATE, code=0)
    shell.platform.clock.move(60)
    shell(*RUN, code=0)
    shell.platform.clock.move(days * 86_400)
    (row,) = table_of(shell("baselines", "list", code=0))
    assert (row[3], row[6], row[7]) == (state, due, "1")


def test_baselines_list_for_machines(shell: Shell, tmp_path: Path) -> None:
    """As in the file, or as it would be."""
    assert json.loads(shell("baselines", "list", "--json", code=0)) == {"schema_version": 2}
    shell(*RUN, *UPDATE, code=0)
    assert shell("baselines", "list", "--json", code=0) == (tmp_path / "baselines.json").read_text(encoding="utf-8")


def test_baselines_show(shell: Shell) -> None:
    """Metrics with spread and anchor, runs and history; short names are accepted."""
    show = ("baselines", "show", "--service", "orders", "--scenario", "brief")
    shell(*show, code=2, err=NO_BASELINE)
    for _ in range(2):
        shell(*RUN, *UPDATE, code=0)
        shell.platform.clock.move(60)
    out = shell(*show, code=0)
    assert out.startswith("orders-service under brief: version 2, provisional, 2 runs\n  review by 2026-06-02, ")
    assert ["CPU", "1.50 cores", "±0.0 %", "±5.1 %", "1.50 cores"] in table_of(out)
    assert [row[0] for row in table_of(out) if "UTC" in row[1]] == shell.run_ids()
    assert "\n  version 2: 2 runs, 2026-03-02 06:31 UTC by ana: first [level] :ok: of [/v2]\n" in out
    assert "\n  version 1: 1 run, 2026-03-02 06:30 UTC by ana: first [level] :ok: of [/v2]\n" in out


def test_baselines_show_for_machines(shell: Shell, tmp_path: Path) -> None:
    """The entry as in the file."""
    shell(*RUN, *UPDATE, code=0)
    out = shell("baselines", "show", "--service", "orders", "--scenario", "brief", "--json", code=0)
    document = json.loads((tmp_path / "baselines.json").read_bytes())
    assert json.loads(out) == document["orders-service"]["brief"]


def test_baselines_review(shell: Shell) -> None:
    """The findings, and the command for each proposal: promoting renews the baseline."""
    shell("baselines", "review", code=0, out="nothing to review: all baselines are current ")
    shell(*RUN, *UPDATE, code=0)
    shell.platform.clock.move(100 * 86_400)
    shell(*RUN, code=0, out="PASS · ")
    out = shell("baselines", "review", code=0)
    assert out.startswith(
        "orders-service under brief: review due\n"
        "  - the review was due on 2026-06-02, 8 days ago; approved by ana on 2026-03-02\n"
        "  - proposed: version 2, provisional, 2 runs: Latency p95 "
    )
    command = out.splitlines()[-1].strip()
    assert command == f"python -m include.perf baselines promote {shell.run_ids()[-1]} --reason '…'"
    words = shlex.split(command.removeprefix("python -m include.perf"))
    shell(*words, code=0, out="orders-service under brief: version 2, provisional, 2 runs\n  review by 2026-09-10, ")
    shell("baselines", "review", code=0, out="nothing to review")


NO_BASELINE = "bellwether: there is no baseline of orders-service under brief; `baselines list` shows all\n"


def test_baselines_promote(shell: Shell, tmp_path: Path) -> None:
    """With a reason; the same run only once."""
    shell(*RUN, code=0)
    (run_id,) = shell.run_ids()
    promote = ("baselines", "promote", run_id, "--reason")
    shell(*promote, "", code=2, err="say why the new values are right\n")
    shell(*promote, "agreed", code=0, out="orders-service under brief: version 1, provisional, 1 run\n")
    before = (tmp_path / "baselines.json").read_bytes()
    message = f"bellwether: run {run_id} is already part of the baseline of orders-service under brief\n"
    shell(*promote, "again", code=2, err=message)
    assert (tmp_path / "baselines.json").read_bytes() == before


def test_baselines_promote_includes_the_nights_since(shell: Shell) -> None:
    """1 run, 3 nights that passed, and the latest of them is promoted: a candidate of 4."""
    shell(*RUN, *UPDATE, code=0)
    for _ in range(3):
        shell.platform.clock.move(86_400)
        shell(*RUN, code=0, out="PASS · ")
    promote = ("baselines", "promote", shell.run_ids()[-1], "--reason", "agreed")
    out = shell(*promote, code=0, out="orders-service under brief: version 2, candidate, 4 runs\n")
    assert [row[0] for row in table_of(out) if "UTC" in row[1]] == shell.run_ids()


def test_baselines_promote_leaves_later_runs(shell: Shell) -> None:
    """Promoting the second of four runs includes the first, and leaves the later ones."""
    shell(*RUN, *UPDATE, code=0)
    for _ in range(3):
        shell.platform.clock.move(86_400)
        shell(*RUN, code=0, out="PASS · ")
    shell("baselines", "promote", shell.run_ids()[2], "--reason", "x", code=0, out="version 2, candidate, 3 runs\n")


def test_baselines_promote_by_force(shell: Shell) -> None:
    """The command that the refusal suggests works."""
    shell(*RUN, *UPDATE, code=0)
    shell.faster(0.08)
    shell(*RUN, code=1)
    run_id = shell.run_ids()[1]  # after it come its re-runs
    command = f"baselines promote {run_id} --force --reason"
    promote = ("baselines", "promote", run_id)
    shell(*promote, "--reason", "x", code=2, err=f"python -m include.perf {command} '…'\n")
    shell(*command.split(), "new tax rules", code=0, out="orders-service under brief: version 2, provisional, 1 run\n")


def test_baselines_rollback(shell: Shell, tmp_path: Path) -> None:
    """An earlier version becomes the baseline; an unknown one changes nothing."""
    rollback = ("baselines", "rollback", "--service", "orders", "--scenario", "brief", "--reason", "bad", "--version")
    shell(*rollback, "1", code=2, err=NO_BASELINE)
    for _ in range(2):
        shell(*RUN, *UPDATE, code=0)
        shell.platform.clock.move(60)
    before = (tmp_path / "baselines.json").read_bytes()
    shell(*rollback, "7", code=2, err="orders-service under brief has no earlier version 7; earlier versions: 1\n")
    assert (tmp_path / "baselines.json").read_bytes() == before
    shell(*rollback, "1", code=0, out="orders-service under brief: version 3, provisional, 1 run\n")


def test_an_unknown_service_of_a_baseline(shell: Shell) -> None:
    """The message lists the known ones."""
    message = "bellwether: service 'x' is not in the catalogue; known: orders-service\n"
    shell("baselines", "show", "--service", "x", "--scenario", "brief", code=2, err=message)


# check


def test_check_refuses_a_weak_key_of_the_load_workers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment may be older than the rule; the key itself is not printed."""
    monkeypatch.setenv("BELLWETHER_LOCUST_BIND", "0.0.0.0:5557")
    monkeypatch.setenv("BELLWETHER_LOCUST_KEY", "a key that somebody made up")
    expected = (
        "bellwether: BELLWETHER_LOCUST_KEY must be 32 random bytes in hexadecimal or base64, the same for the master "
        "and its workers, but is neither (it has 27 characters); create one with make env, or with python -c "
        '"import secrets; print(secrets.token_hex(32))", and set it on both sides\n'
    )
    assert shell("check", code=2, err=expected) == ""


def test_check(shell: Shell) -> None:
    """One line if everything is fine."""
    assert shell("check", code=0) == "1 service, 1 scenario, their data and the baselines are fine\n"


def test_check_warns_of_load_that_may_go_to_whole_private_networks(shell: Shell, tmp_path: Path) -> None:
    """By default it may, and nothing is forbidden."""
    path = tmp_path / "services.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8")) | {"forbidden_hosts": []}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert shell("check", code=0) == (
        "warning: services.yaml: forbidden_hosts is empty, while the allowed_networks of orders-service cover all of "
        "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7; list the hosts and networks of production there, or "
        "narrow allowed_networks to those of the services\n"
        "1 service, 1 scenario, their data and the baselines are fine\n"
    )


def scheduled(tmp_path: Path, minutes: int) -> None:
    """Start the scenario some minutes before London opens; its run takes 85 s, two re-runs 170 s."""
    path = tmp_path / "scenarios.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["scenarios"]["brief"]["schedule"] = {"before": "london", "minutes": minutes}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_check_warns_if_there_is_no_time_for_re_runs(shell: Shell, tmp_path: Path) -> None:
    """They will be refused, so the scenario itself is fine."""
    scheduled(tmp_path, 7)
    assert shell("check", code=0) == (
        "warning: scenarios.yaml: brief needs 5 min for 1 service with re-runs (2 min without), but starts 2 min "
        "before all load must be over (07:55): 3 min too little; start it 3 min earlier, or lower reruns\n"
        "1 service, 1 scenario, their data and the baselines are fine\n"
    )
    scheduled(tmp_path, 10)
    assert shell("check", code=0) == "1 service, 1 scenario, their data and the baselines are fine\n"


def test_check_refuses_a_night_that_is_too_long(shell: Shell, tmp_path: Path) -> None:
    """Even the runs alone would not end in time."""
    scheduled(tmp_path, 6)
    expected = (
        "bellwether: scenarios.yaml: brief needs 2 min for 1 service without any re-run, but starts 60 s before all "
        "load must be over (07:55): 60 s too little; start it 1 min earlier, or load fewer services\n"
    )
    assert shell("check", code=2, err=expected) == ""


def test_check_reports_data_and_baselines_together(shell: Shell, tmp_path: Path) -> None:
    """A broken CSV file does not hide broken baselines."""
    path = tmp_path / "brief.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("EUR_USD", "euro", 2), encoding="utf-8")
    (tmp_path / "baselines.json").write_text("[]", encoding="utf-8")
    fix = "correct or remove the row"
    expected = (
        "bellwether: 3 problems:\n"
        f"  - {path} line 2: instrument must look like EUR_USD or SPX500_USD, but is 'euro'; {fix}\n"
        f"  - {path} line 3: instrument must look like EUR_USD or SPX500_USD, but is 'euro'; {fix}\n"
        f"  - {tmp_path / 'baselines.json'} must be an object with schema_version 2; restore it from version control\n"
    )
    assert shell("check", code=2, err=expected) == ""


def test_check_reports_catalogue_and_baselines_together(shell: Shell, tmp_path: Path) -> None:
    """A broken catalogue does not hide them, either."""
    (tmp_path / "scenarios.yaml").write_text("schema_version: 2", encoding="utf-8")
    (tmp_path / "services.yaml").unlink()
    (tmp_path / "baselines.json").write_text("[]", encoding="utf-8")
    expected = (
        "bellwether: 3 problems:\n"
        f"  - there is no {tmp_path / 'services.yaml'}; set BELLWETHER_CATALOGUE to the folder that holds it\n"
        "  - scenarios.yaml: schema_version must be 1, but is 2; correct it, or restore the file from version control\n"
        f"  - {tmp_path / 'baselines.json'} must be an object with schema_version 2; restore it from version control\n"
    )
    assert shell("check", code=2, err=expected) == ""
