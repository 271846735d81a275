"""All mistakes in a catalogue, each with its message."""

from pathlib import Path

import pytest

from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.template import FIELDS
from include.perf.model.errors import CatalogueError
from include.perf.model.yaml_entries import RESTORE
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.certificates import Authority, with_passphrase


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return list(caught.value.problems)


KNOWN_FIELDS = (
    f"{', '.join(FIELDS)}; nor a value of the request's own; known: uuid, sequence, now, random_int, random_choice"
)
ORDERS = "services.yaml: orders-service"
SERVICE_MISTAKES = [
    ("method: POST", "methd: POST", [f"{ORDERS}.endpoints[0] (place).method is missing; every entry needs it"]),
    (
        "method: POST",
        "method: post",
        "{}.endpoints[0] (place).method should be 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH' or 'DELETE'",
    ),
    ("path: /orders", "path: orders", "{}.endpoints[0] (place).path: must be a path that starts with /"),
    (
        "path: /orders",
        "path: '/orders?x=1'",
        "{}.endpoints[0] (place).path: must be a path without query, fragment or spaces",
    ),
    (
        "    allowed_hosts: [orders-service]\n",
        "    timout_s: 3\n    allowed_hosts: [orders-service]\n",
        ["{}.timout_s is not a known setting; correct its name or remove it"],
    ),
    ("    allowed_hosts: [orders-service]\n", "", ["{}.allowed_hosts is missing; every entry needs it"]),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: orders-service",
        ["{}.allowed_hosts should be a valid list, but is 'orders-service'"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: []",
        ["{}.allowed_hosts should have at least 1 item, but is []"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders]",
        [
            "{}: the host 'orders-service' of base_url is not in allowed_hosts ['orders']; "
            "add it there if load may go to it"
        ],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    environment: production",
        [
            "{}: load on environment 'production' is refused; set allow_production: true and max_rate_rps if this "
            "is intended"
        ],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    environment: eu-prod\n    allow_production: true",
        ["{}: load on environment 'eu-prod' needs a maximum; set max_rate_rps to the highest rate that it can handle"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    allowed_networks: [10.20.0.7/16, 10.30.0.0/16, orders, 7]",
        [
            "{}.allowed_networks[0]: must be a network such as 10.20.0.0/16, but '10.20.0.7/16' has host bits set; "
            "write 10.20.0.0/16",
            "{}.allowed_networks[2]: must be a network such as 10.20.0.0/16, but is 'orders'",
            "{}.allowed_networks[3]: must be a network such as 10.20.0.0/16, but is 7",
        ],
    ),
    (
        "base_url: http://orders-service:8000",
        "base_url: http://0x7f.1:8000",
        ["{}.base_url: '0x7f.1' is another spelling of 127.0.0.1; write 127.0.0.1 if that is meant"],
    ),
    (
        "base_url: http://orders-service:8000",
        "base_url: http://orders-service:0",
        ["{}.base_url: must have a port of 1 to 65535, but has 0"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    headers: {X-Forwarded-Host: prod.example}",
        ["{}.headers: X-Forwarded-Host redirects requests away from base_url; remove it and set the host there"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    timeout_s: 0",
        ["{}.timeout_s should be greater than 0, but is 0"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    timeout_s: soon",
        ["{}.timeout_s should be a valid number, unable to parse string as a number, but is 'soon'"],
    ),
    (
        "base_url: http://orders-service:8000",
        "base_url: orders-service:8000",
        "{}.base_url: must be a scheme",
    ),
    ("base_url: http://orders", "base_url: http://admin@orders", "{}.base_url: must be a scheme"),
    (
        "body: {price: $price}",
        "body: {price: $prise, at: [$Time]}",
        [
            f"{{}}.endpoints[0] (place): body: $Time is not a field of the market data; known: {KNOWN_FIELDS}; "
            f"body: $prise is not a field of the market data; known: {KNOWN_FIELDS}"
        ],
    ),
    (
        "body: {price: $price}",
        "query: {at: $nope}",
        [f"{{}}.endpoints[0] (place): query: $nope is not a field of the market data; known: {KNOWN_FIELDS}"],
    ),
    (
        "body: {price: $price}",
        "query: {at: [1, null]}",
        ["{}.endpoints[0] (place).query: at must be text or a number, but is None; put it in quotes"],
    ),
    (
        "body: {price: $price}",
        "query: {live: true}",
        ["{}.endpoints[0] (place).query: live must be text or a number, but is True; put it in quotes"],
    ),
    (
        "body: {price: $price}",
        "body: {since: 2026-03-01}",
        [
            "{}.endpoints[0] (place).body: cannot be sent as JSON (Object of type date is not JSON serializable); "
            "put dates and times in quotes"
        ],
    ),
    (
        "body: {price: $price}",
        "body: {price: .nan}",
        [
            "{}.endpoints[0] (place).body: cannot be sent as JSON (Out of range float values are not JSON compliant); "
            "put dates and times in quotes"
        ],
    ),
    (
        "method: POST",
        "method: GET",
        ["{}.endpoints[0] (place): a GET request has no body; use query instead"],
    ),
    (
        "path: /orders, body: {price: $price}}\n",
        "path: /orders}\n      - {name: place, method: GET, path: /x}\n",
        ["{}: endpoint names must differ, but place occurs more than once"],
    ),
    (
        "prometheus: {selector: 'service=\"orders\"'}",
        "prometheus: {selector: '{x}', queries: {cpu: 'a[$window]'}}",
        [
            "{}.prometheus.selector: must be label matchers without braces, such as service=\"orders\", but is '{{x}}'",
            "{}.prometheus.queries: 'cpu' is not a server-side metric; known: cpu_usage, memory_usage, disk_usage, "
            "and coverage",
        ],
    ),
    (
        "prometheus: {selector: 'service=\"orders\"'}",
        "prometheus: {selector: x, queries: {cpu_usage: 'rate(x[5m])'}}",
        ["{}.prometheus.queries: the query of cpu_usage must average over [$window], but is 'rate(x[5m])'"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    headers: {Authorization: Bearer s3cr3t, Host: a, X-Version: 1}",
        [
            "{}.headers: Host is set by the load generator itself; remove it; X-Version must be text, but is of type "
            "int; put it in quotes; Authorization looks like a secret, and secrets belong in Connections; remove it "
            "here, put it into an Airflow Connection and name that in the setting connection"
        ],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    headers: 'Authorization: Bearer s3cr3t'",
        ["{}.headers: headers must be names and texts, but are of type str"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    connection: 'orders api'",
        ["{}.connection: must be the ID of a Connection: letters, digits, . _ and -, but is 'orders api'"],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    ca_file: ca.pem\n    timeout_s: 2\n    connect_timeout_s: 2.5",
        [
            "{}: ca_file is only for https, but base_url is http://orders-service:8000; remove it, or write "
            "ca_file: null; connect_timeout_s must not exceed timeout_s, 2, but is 2.5"
        ],
    ),
    (
        "allowed_hosts: [orders-service]",
        "allowed_hosts: [orders-service]\n    connect_timeout_s: 0",
        ["{}.connect_timeout_s should be greater than 0, but is 0"],
    ),
    (
        "body: {price: $price}",
        "expect: {json: {a b: 1}, has: [x], state: 1}",
        [
            "{}.endpoints[0] (place).expect.json: a path consists of keys separated by dots, such as order.status or "
            "executions.0.price, but is 'a b'",
            "{}.endpoints[0] (place).expect.state is not a known setting; correct its name or remove it",
        ],
    ),
    (
        "path: /orders, body: {price: $price}}\n",
        "path: /orders, expect: {has: [id]}}\n    headers: {accept-encoding: gzip}\n",
        ["{}: with the header Accept-Encoding, place cannot expect JSON; remove one of them"],
    ),
    (
        "  orders-service:\n",
        "  Orders Service:\n",
        "services.yaml: Orders Service.name: must have ",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), SERVICE_MISTAKES)
def test_a_wrong_service(tmp_path: Path, old: str, new: str, expected: list[str] | str) -> None:
    """Each mistake is reported once: the file, the entry, the rule and the value."""
    assert old in SERVICES
    problems = problems_of(catalogue_folder(tmp_path, services=SERVICES.replace(old, new, 1)))
    assert "s3cr3t" not in "".join(problems)
    if isinstance(expected, str):
        assert len(problems) == 1
        assert problems[0].startswith(expected.format(ORDERS))
    else:
        assert problems[: len(expected)] == [sentence.format(ORDERS) for sentence in expected]


ENGINE = "services.yaml: engine"
ENGINE_HOSTS = "allowed_hosts: [engine.example]"


def test_a_missing_bundle(tmp_path: Path) -> None:
    """The message contains the full path, which is relative to the catalogue's folder."""
    services = SERVICES.replace(ENGINE_HOSTS, f"{ENGINE_HOSTS}\n    ca_file: tls/ca.pem")
    assert problems_of(catalogue_folder(tmp_path, services=services)) == [
        f"{ENGINE}.ca_file: there is no file {tmp_path}/tls/ca.pem; put the PEM bundle there"
    ]


def test_an_invalid_bundle(tmp_path: Path) -> None:
    """A folder or another certificate format is reported before TLS fails with a worse message."""
    services = SERVICES.replace(ENGINE_HOSTS, f"{ENGINE_HOSTS}\n    ca_file: ca.der")
    folder = catalogue_folder(tmp_path, services=services)
    (folder / "ca.der").write_bytes(b"\x30\x82\xff")
    assert problems_of(folder) == [
        f"{ENGINE}.ca_file: {tmp_path}/ca.der is not a PEM bundle: it has no -----BEGIN CERTIFICATE-----"
    ]
    (folder / "ca.der").unlink()
    (folder / "ca.der").mkdir()
    assert problems_of(folder) == [f"{ENGINE}.ca_file: there is no file {tmp_path}/ca.der; put the PEM bundle there"]


def test_a_bundle_without_verification(tmp_path: Path) -> None:
    """A bundle without effect is a mistake."""
    services = SERVICES.replace(ENGINE_HOSTS, f"{ENGINE_HOSTS}\n    ca_file: ca.pem\n    verify_tls: false")
    assert problems_of(catalogue_folder(tmp_path, services=services)) == [
        f"{ENGINE}: ca_file has no effect with verify_tls: false; remove one of them"
    ]


CALM = "scenarios.yaml: calm"
LOAD = "load: {rate_rps: 10, duration_s: 60}"
SCENARIO_MISTAKES = [
    (LOAD, "load: {duration_s: 60}", ["{}.load.rate_rps is missing; every entry needs it"]),
    (
        LOAD,
        "load: {rate_rps: 0, duration_s: 9}",
        [
            "{}.load.rate_rps should be greater than or equal to 0.1, but is 0",
            "{}.load.duration_s should be greater than or equal to 10, but is 9",
        ],
    ),
    (
        LOAD,
        "load: {rate_rps: 512001, duration_s: 14401}",
        [
            "{}.load.rate_rps should be less than or equal to 512000, but is 512001",
            "{}.load.duration_s should be less than or equal to 14400, but is 14401",
        ],
    ),
    (
        LOAD,
        "load: {rate_rps: .nan, duration_s: 10.5}",
        [
            "{}.load.rate_rps should be less than or equal to 512000, but is nan",
            "{}.load.duration_s should be a valid integer, got a number with a fractional part, but is 10.5",
        ],
    ),
    (
        LOAD,
        "load: {rate_rps: 10, duration_s: 60, users: 5}",
        ["{}.load.users is not a known setting; correct its name or remove it"],
    ),
    (
        LOAD,
        "load: {rate_rps: 10, duration_s: 60, arrivals: random}",
        ["{}.load.arrivals should be 'constant' or 'poisson', but is 'random'"],
    ),
    (
        LOAD,
        "load: {rate_rps: 10, duration_s: 60, profile: [{at_s: 0, factor: 3}, {at_s: 9.5, factor: 0, by: decline}]}",
        [
            "{}.load.profile[1].at_s should be a valid integer, got a number with a fractional part, but is 9.5",
            "{}.load.profile[1].factor should be greater than 0, but is 0",
            "{}.load.profile[1].by should be 'step', 'line' or 'decay', but is 'decline'",
        ],
    ),
    (
        LOAD,
        "load: {rate_rps: 10, duration_s: 60, warmup_s: 5, ramp_s: 10}",
        [
            "{}.load: ramp_s must be at most warmup_s (5), but is 10; the ramp is part of the warm-up, which is "
            "excluded from the figures"
        ],
    ),
    ("title: Calm, ", "", ["{}.title is missing; every entry needs it"]),
    ("data: calm.csv}", "data: calm.txt}", ["{}: data must be a CSV file, but is 'calm.txt'"]),
    (
        "data: calm.csv}",
        "data: clam.csv}",
        ["{}.data: there is no file {folder}/clam.csv; put the CSV there"],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, services: [engine, ordres]}",
        [
            "{}.services: service 'ordres' is not in the catalogue; known: orders-service, engine",
        ],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, schedule: {cron: daily, timezone: Europe/Londn}}",
        [
            "{}.schedule.cron: must be a cron expression of five fields, such as \"30 5 * * 1-5\", but is 'daily'",
            "{}.schedule.timezone: must be an IANA time zone such as Europe/London, but is 'Europe/Londn'",
        ],
    ),
    (
        "data: calm.csv}",
        'data: calm.csv, schedule: {cron: "99 * * * *"}}',
        [
            '{}.schedule.cron: must be a cron expression of five fields, such as "30 5 * * 1-5", but is '
            "'99 * * * *': [99 * * * *] is not acceptable, out of range"
        ],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, schedule: {before: london, minutes: 0, margin: 5}}",
        [
            "{}.schedule.minutes should be greater than or equal to 1, but is 0",
            "{}.schedule.margin is not a known setting; correct its name or remove it",
        ],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, schedule: {before: lodon, minutes: 60}}",
        [
            "{}.schedule.before: there is no session 'lodon'; known: sydney, tokyo, london, new_york, and week for "
            "the market week"
        ],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, schedule: on}",
        [
            '{}.schedule: needs cron, such as {{cron: "0 2 * * 6"}}, or before, such as {{before: london, minutes: '
            "120}}, but is True; write off for manual runs only"
        ],
    ),
    (  # YAML reads 10:30 without quotes as 10 · 60 + 30
        "data: calm.csv}",
        'data: calm.csv, schedule: {cron: "0 2 * * *", finish_by: 10:30}}',
        [
            '{}.schedule.finish_by: must be a time of day in quotes, such as "08:00", but is the number 630; write '
            '"10:30" if that is meant'
        ],
    ),
    (
        "data: calm.csv}",
        "data: calm.csv, fingerprint: {load: heavy}, reruns: -1}",
        [
            "{}.reruns should be greater than or equal to 0, but is -1",
            "{}.fingerprint: load is a part of every fingerprint already; give it another name",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), SCENARIO_MISTAKES)
def test_a_wrong_scenario(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    """Each mistake is reported once: the file, the entry, the rule and the value."""
    assert old in SCENARIOS
    problems = problems_of(catalogue_folder(tmp_path, scenarios=SCENARIOS.replace(old, new, 1)))
    assert problems == [sentence.format(CALM, folder=tmp_path) for sentence in expected]


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    """Mistakes in both files, in several entries, and between the files are in one error."""
    services = SERVICES.replace("allowed_hosts: [engine.example]", "allowed_hosts: [elsewhere]").replace(
        "$price", "$prise"
    )
    scenarios = SCENARIOS.replace("rate_rps: 100,", "").replace("duration_s: 60}", "}", 1)
    problems = problems_of(catalogue_folder(tmp_path, services=services, scenarios=scenarios))
    assert [problem.partition(";")[0] for problem in problems] == [
        f"{ORDERS}.endpoints[0] (place): body: $prise is not a field of the market data",
        "services.yaml: engine: the host 'engine.example' of base_url is not in allowed_hosts ['elsewhere']",
        "scenarios.yaml: calm.load.duration_s is missing",
        "scenarios.yaml: storm.load.rate_rps is missing",
    ]
    with pytest.raises(CatalogueError, match=r"^4 problems:\n  - services.yaml: orders-service") as caught:
        load_catalogue(tmp_path)
    assert str(caught.value).count("\n  - ") == 4


def test_mistakes_in_all_three_files_are_reported_together(tmp_path: Path) -> None:
    """If the market hours cannot be read, no session is called unknown."""
    scenarios = SCENARIOS.replace("title: Calm, ", "").replace('cron: "0 2 * * 6"', 'cron: "0 2 * * 8"')
    folder = catalogue_folder(tmp_path, services=SERVICES.replace("$price", "$prise"), scenarios=scenarios)
    (folder / "market_hours.yaml").write_text("schema_version: 1\nsessions: {}\n", encoding="utf-8")
    assert [problem.partition(";")[0] for problem in problems_of(folder)] == [
        f"{ORDERS}.endpoints[0] (place): body: $prise is not a field of the market data",
        "scenarios.yaml: calm.title is missing",
        'scenarios.yaml: storm.schedule.cron: must be a cron expression of five fields, such as "30 5 * * 1-5", but is '
        "'0 2 * * 8': [0 2 * * 8] is not acceptable, out of range",
        "market_hours.yaml: sessions: must name at least one session, but is empty",
        "market_hours.yaml: week: is missing",
    ]
    text = SCENARIOS.replace('{cron: "0 2 * * 6", timezone: Europe/London}', "{before: lodon, minutes: 60}")
    (catalogue_folder(tmp_path, scenarios=text) / "market_hours.yaml").write_text("schema_version: 2")
    assert problems_of(tmp_path) == [f"market_hours.yaml: schema_version must be 1, but is 2; {RESTORE}"]


def test_an_unknown_service_is_reported_next_to_another_wrong_scenario(tmp_path: Path) -> None:
    """A mistake in one scenario does not hide one in another."""
    scenarios = SCENARIOS.replace("title: Calm, ", "").replace("services: [engine]", "services: [engin]")
    assert problems_of(catalogue_folder(tmp_path, scenarios=scenarios)) == [
        "scenarios.yaml: calm.title is missing; every entry needs it",
        "scenarios.yaml: storm.services: service 'engin' is not in the catalogue; known: orders-service, engine",
    ]


def test_a_broken_services_file_causes_no_errors_in_scenarios(tmp_path: Path) -> None:
    """If no services are known, none in a scenario is called unknown."""
    assert problems_of(catalogue_folder(tmp_path, services="schema_version: 3")) == [
        f"services.yaml: schema_version must be 1, but is 3; {RESTORE}"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "services.yaml: must hold schema_version and services, but holds None"),
        ("- a\n", "services.yaml: must hold schema_version and services, but holds ['a']"),
        ("services: {}\n", "services.yaml: schema_version must be 1, but is None"),
        ("schema_version: 1\n", "services.yaml: services must name at least one entry, but is None"),
        ("schema_version: 1\nservices: {}\n", "services.yaml: services must name at least one entry, but is {}"),
        ("schema_version: 1\nservices: [a]\n", "services.yaml: services must name at least one entry, but is ['a']"),
        (
            "schema_version: 1\nservice: {a: 1}\nservices: {a: 1}\n",
            "services.yaml: unknown key service; it may hold defaults, forbidden_hosts and services",
        ),
        (
            "schema_version: 1\ndefaults: [x]\nservices: {a: {}}\n",
            "services.yaml: defaults must be a mapping of settings, but is ['x']",
        ),
        ("schema_version: 1\nservices: {a: 5}\n", "services.yaml: a must be a mapping of settings, but is 5"),
        ("schema_version: 1\nservices: {a: [b]}\n", "services.yaml: a must be a mapping of settings, but is ['b']"),
        ("schema_version: 1\nservices: {a: text}\n", "services.yaml: a must be a mapping of settings, but is 'text'"),
        (
            "schema_version: 1\nservices:\n  a: {}\n  a: {}\n",
            "services.yaml: not valid YAML: 'a' is given twice (line 4, column 3)",
        ),
        (
            "schema_version: 1\nservices:\n  a:\n    b: {c: 1, d: 2, c: 3}\n",
            "services.yaml: not valid YAML: 'c' is given twice (line 4, column 21)",
        ),
        (
            "schema_version: 1\nservices: {[a, b]: 1}\n",
            "services.yaml: not valid YAML: while constructing a mapping",
        ),
        ("services: {a: *nowhere}\n", "services.yaml: not valid YAML: found undefined alias 'nowhere'"),
        ("services: {a: \t}\n  b", "services.yaml: not valid YAML: "),
        ("since: 2026-02-30\n", "services.yaml: not valid YAML: day is out of range for month"),
        ("a: !!python/object/apply:os.getcwd []\n", "services.yaml: not valid YAML: could not determine a constructor"),
    ],
)
def test_a_file_of_the_wrong_shape(tmp_path: Path, text: str, problem: str) -> None:
    """A file that is not a catalogue is one clear problem, without a traceback."""
    (found,) = problems_of(catalogue_folder(tmp_path, services=text))
    assert found.startswith(problem)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    """The message contains the byte, so that an editor finds it."""
    catalogue_folder(tmp_path)
    (tmp_path / "services.yaml").write_bytes(b"schema_version: 1\n# \xe9\n")
    assert problems_of(tmp_path) == ["services.yaml: not UTF-8 text (invalid continuation byte at byte 20)"]


def test_missing_files(tmp_path: Path) -> None:
    """The message contains both, and the variable with their folder."""
    remedy = "set BELLWETHER_CATALOGUE to the folder that holds it"
    assert problems_of(tmp_path) == [
        f"there is no {tmp_path / name}; {remedy}" for name in ("services.yaml", "scenarios.yaml")
    ]


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    """It is reported like any other problem."""
    catalogue_folder(tmp_path)
    (tmp_path / "scenarios.yaml").unlink()
    (tmp_path / "scenarios.yaml").mkdir()
    assert problems_of(tmp_path) == [f"cannot read {tmp_path / 'scenarios.yaml'}: Is a directory"]


def test_production_that_is_allowed(tmp_path: Path) -> None:
    """Only a service with the setting may be production."""
    hosts = "allowed_hosts: [orders-service]"
    is_meant = f"{hosts}\n    environment: production\n    allow_production: true\n    max_rate_rps: 50"
    services = SERVICES.replace(hosts, is_meant)
    assert load_catalogue(catalogue_folder(tmp_path, services=services)).service("orders").environment == "production"


@pytest.mark.parametrize(
    ("url", "hosts", "is_allowed"),
    [
        ("http://HOST:8000", "[host]", True),  # host names know no case
        ("http://host", "[host]", True),
        ("http://[::1]:8000", "['::1']", True),
        ("http://host.evil", "[host]", False),
        ("http://host:8000@evil", "[host]", False),
        ("http://evil\\host", "[host]", False),
        ("http://host.", "[HOST]", True),
    ],
)
def test_the_check_of_the_host(tmp_path: Path, url: str, hosts: str, is_allowed: bool) -> None:
    """Exact hosts are compared, not parts of the URL."""
    services = SERVICES.replace("base_url: http://orders-service:8000", f"base_url: '{url}'").replace(
        "allowed_hosts: [orders-service]", f"allowed_hosts: {hosts}"
    )
    folder = catalogue_folder(tmp_path, services=services)
    if is_allowed:
        assert load_catalogue(folder).service("orders").base_url == url
    else:
        (problem,) = problems_of(folder)
        assert any(
            rule in problem
            for rule in (
                "is not in allowed_hosts ['host']; add it there if load may go to it",
                "is not a valid host name; correct it",
                "base_url: must be a scheme, a host and a port",
            )
        )


LIST = "forbidden_hosts: [Orders-Service., '10.1.0.0/16:443']\n"


def test_a_host_that_is_forbidden_for_all(tmp_path: Path) -> None:
    """The list is a top-level setting of the file, and applies regardless of the entries."""
    services = SERVICES.replace("defaults:\n", f"{LIST}defaults:\n", 1)
    assert problems_of(catalogue_folder(tmp_path, services=services)) == [
        f"{ORDERS}: load to http://orders-service:8000 is refused: that is orders-service (forbidden_hosts in "
        "services.yaml); correct base_url"
    ]
    services = services.replace("orders-service:8000", "10.1.0.7:443").replace("[orders-service]", "[10.1.0.7]")
    assert problems_of(catalogue_folder(tmp_path, services=services)) == [
        f"{ORDERS}: load to http://10.1.0.7:443 is refused: that is 10.1.0.0/16:443 (forbidden_hosts in "
        "services.yaml); correct base_url"
    ]


def test_mistakes_in_forbidden_hosts_are_reported_with_all_others(tmp_path: Path) -> None:
    """Each with its position in the list; the scenarios file has no such list."""
    services = SERVICES.replace("defaults:\n", "forbidden_hosts: [prod:8000, 'https://prod', 7]\ndefaults:\n", 1)
    services = services.replace("$price", "$prise")
    problems = problems_of(catalogue_folder(tmp_path, services=services, scenarios=LIST + SCENARIOS))
    assert problems[0].startswith(f"{ORDERS}.endpoints[0] (place): body: $prise is not a field")
    assert problems[1] == (
        "scenarios.yaml: unknown key forbidden_hosts; it may hold defaults, capacity_rps, "
        "ops_channel, digest_channel, quiet_summary, critical_mention, reload_rules, keep_requests_days, "
        "keep_unfinished_days and scenarios"
    )
    assert problems[2].startswith("services.yaml: forbidden_hosts[1] must be a name, an address or a network")
    assert problems[3].startswith("services.yaml: forbidden_hosts[2] must be a name, an address or a network")
    assert len(problems) == 4


LIVE = """  orders-live:
    environment: live
    allow_production: true
    max_rate_rps: 20
    base_url: http://orders-live:8000
    allowed_hosts: [orders-live]
    prometheus: {selector: x}
    endpoints:
      - {name: state, method: GET, path: /state}
"""


def test_the_hosts_of_production_are_forbidden_for_the_others(tmp_path: Path) -> None:
    """They need not be listed, and production itself may be loaded if it is allowed."""
    services = SERVICES.replace("defaults:\n", "forbidden_hosts: [other]\ndefaults:\n", 1) + LIVE
    catalogue = load_catalogue(catalogue_folder(tmp_path, services=services))
    orders, live = catalogue.service("orders"), catalogue.service("orders-live")
    assert [str(host) for host in catalogue.forbidden_hosts] == ["other"]
    assert [str(host) for host in catalogue.forbidden_for(orders)] == ["other", "orders-live"]
    assert [str(host) for host in catalogue.forbidden_for(live)] == ["other"]
    services = services.replace("//orders-service:8000", "//ORDERS-LIVE.:8000").replace(
        "[orders-service]", "[orders-live]"
    )
    assert problems_of(catalogue_folder(tmp_path, services=services)) == [
        f"{ORDERS}: load to http://ORDERS-LIVE.:8000 is refused: that is orders-live (the host of orders-live, "
        "environment live); correct base_url"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a PEM bundle: it has no -----BEGIN CERTIFICATE-----"),
        ("certificate", "must have a certificate and its private key, but has not"),
        ("encrypted", "its private key has a passphrase; remove it from the key"),
    ],
)
def test_a_client_certificate_that_cannot_be_used(tmp_path: Path, content: bytes | str, problem: str) -> None:
    """It is refused before the load."""
    authority = Authority(tmp_path)
    pem = authority.client().read_bytes()
    if content == "certificate":
        pem = pem[pem.index(b"-----BEGIN CERTIFICATE") :]
    elif content == "encrypted":
        pem = with_passphrase(pem)
    (tmp_path / "client.pem").write_bytes(pem if isinstance(content, str) else content)
    services = SERVICES.replace(ENGINE_HOSTS, f"{ENGINE_HOSTS}\n    client_certificate: client.pem")
    found = " ".join(problems_of(catalogue_folder(tmp_path, services=services)))
    assert f"{ENGINE}.client_certificate: {tmp_path}/client.pem" in found
    assert problem in found
