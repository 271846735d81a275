"""The pool of workers on other machines, from the environment or from Airflow's connection."""

import json

import pytest
from bellwether.wiring import airflow_pool

from include.perf.adapters.generator.locust_pool import LocustPool, environment_pool
from include.perf.model.errors import ConfigurationError

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"
CONNECTION = "AIRFLOW_CONN_BELLWETHER_LOCUST"


@pytest.mark.parametrize(
    ("bind", "workers", "pool"),
    [
        ("0.0.0.0:5557", None, LocustPool(key=KEY)),
        ("10.0.0.7:6000", "4", LocustPool(host="10.0.0.7", port=6000, key=KEY, workers=4)),
        ("10.0.0.7", "", LocustPool(host="10.0.0.7", port=5557, key=KEY, workers=1)),
    ],
)
def test_the_environment_names_the_pool(
    monkeypatch: pytest.MonkeyPatch, bind: str, workers: str | None, pool: LocustPool
) -> None:
    """By default, one worker is enough."""
    monkeypatch.setenv("BELLWETHER_LOCUST_BIND", bind)
    monkeypatch.setenv("BELLWETHER_LOCUST_KEY", KEY)
    if workers is None:
        monkeypatch.delenv("BELLWETHER_LOCUST_WORKERS", raising=False)
    else:
        monkeypatch.setenv("BELLWETHER_LOCUST_WORKERS", workers)
    assert environment_pool() == pool


def test_without_a_pool_this_machine_sends_all_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is the default."""
    monkeypatch.delenv("BELLWETHER_LOCUST_BIND", raising=False)
    monkeypatch.delenv(CONNECTION, raising=False)
    assert (environment_pool(), airflow_pool()) == (None, None)


def test_all_wrong_settings_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weak key, and a number that is none."""
    monkeypatch.setenv("BELLWETHER_LOCUST_BIND", "0.0.0.0:5557")
    monkeypatch.setenv("BELLWETHER_LOCUST_KEY", "secret")
    monkeypatch.setenv("BELLWETHER_LOCUST_WORKERS", "many")
    with pytest.raises(ConfigurationError) as raised:
        environment_pool()
    assert raised.value.problems == (
        "BELLWETHER_LOCUST_KEY must be 32 random bytes in hexadecimal or base64, the same for the master and its "
        "workers, but is neither (it has 6 characters); create one with make env, or with "
        'python -c "import secrets; print(secrets.token_hex(32))", and set it on both sides',
        "BELLWETHER_LOCUST_WORKERS: workers must be from 1 to 64, but is 'many'",
    )


@pytest.mark.parametrize("bind", [":5557", "host:port", "host:0"])
def test_a_wrong_bind_address_is_refused(monkeypatch: pytest.MonkeyPatch, bind: str) -> None:
    """The message has the rule."""
    monkeypatch.setenv("BELLWETHER_LOCUST_BIND", bind)
    with pytest.raises(ConfigurationError, match="BELLWETHER_LOCUST_BIND must be host or host:port, but is"):
        environment_pool()


@pytest.mark.parametrize(
    ("fields", "pool"),
    [
        ({}, LocustPool(key=KEY)),
        (
            {"host": "10.0.0.7", "port": 6000, "extra": {"workers": 3}},
            LocustPool(host="10.0.0.7", port=6000, key=KEY, workers=3),
        ),
    ],
)
def test_the_connection_names_the_pool(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], pool: LocustPool
) -> None:
    """Its password is the key; address and number of workers have defaults."""
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "generic", "password": KEY} | fields))
    assert airflow_pool() == pool


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "the password of the connection bellwether_locust must be 32 random bytes in hexadecimal or base64"),
        ({"password": KEY, "extra": {"workers": 0}}, "the connection bellwether_locust: workers must be from 1 to 64"),
    ],
)
def test_an_unusable_pool_connection_is_refused(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], problem: str
) -> None:
    """Before any load."""
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "generic"} | fields))
    with pytest.raises(ConfigurationError, match=problem):
        airflow_pool()


def test_the_key_is_not_shown() -> None:
    """Not in any text of the pool."""
    pool = LocustPool(key=KEY)
    assert KEY not in repr(pool)
    assert pool.name == "Locust workers at 0.0.0.0:5557"
