"""What the code of a locustfile may reach. An audit hook cannot be removed, so each attempt has its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.perf.model.yaml_entries import PROJECT_ROOT

SCRIPT = """
import json, os, sys
from pathlib import Path
import gevent.monkey
gevent.monkey.patch_all()
import gevent
from include.load.code_guard import CodeGuard
breaches = []
guard = CodeGuard(host="gateway", addresses=["127.0.0.1", "fd00::7"], ports=[8000],
                  folders=[Path(sys.argv[1])], on_breach=breaches.append)
guard.arm()
for line in sys.stdin:
    guard.breach = None
    breaches.clear()
    result = None
    try:
        result = eval(json.loads(line), {"folder": sys.argv[1]})
        outcome = "done"
    except BaseException as err:
        outcome = f"{type(err).__name__}: {err}"
    gevent.sleep(0.05)
    found = {"outcome": outcome, "breach": guard.breach, "reported": breaches, "result": repr(result)[:200]}
    print(json.dumps(found), flush=True)
os._exit(0)
"""


def attempts(codes: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Run expressions under the guard in one process, and return what became of each."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        input="".join(json.dumps(code) + "\n" for code in codes),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


BREACHES = [
    ("__import__('socket').create_connection(('10.9.8.7', 80), 1)", "a connection to 10.9.8.7:80"),
    ("__import__('socket').create_connection(('127.0.0.1', 22), 1)", "a connection to 127.0.0.1:22"),
    ("__import__('_socket').socket().connect(('10.9.8.7', 80))", "a connection to 10.9.8.7:80"),
    (
        "__import__('socket').socket(2, 2).sendto(b'x', ('10.9.8.7', 53))",
        "a connection to 10.9.8.7:53",
    ),
    ("__import__('socket').socket(1).connect('/var/run/docker.sock')", "a connection to '/var/run/docker.sock'"),
    ("__import__('socket').create_connection(('::ffff:10.9.8.7', 80), 1)", "a connection to [::ffff:10.9.8.7]:80"),
    ("__import__('socket').getaddrinfo('secret.attacker.example', 80)", "a look-up of the name"),
    ("__import__('_socket').getaddrinfo('secret.attacker.example', 80)", "a look-up of the name"),
    ("__import__('os').fork()", "a process of its own (os.fork)"),
    ("__import__('os').system('id')", "a process of its own (os.system)"),
    ("__import__('os').execv('/bin/true', ['true'])", "a process of its own (os.exec)"),
    ("__import__('os').posix_spawn('/bin/true', ['true'], {})", "a process of its own (os.posix_spawn)"),
    ("__import__('subprocess').run(['id'])", "a process of its own"),
    ("__import__('_posixsubprocess').fork_exec()", "a process of its own (fork_exec)"),
    ("__import__('multiprocessing').get_context('spawn').Process(target=print).start()", "a process of its own"),
    ("__import__('os').kill(__import__('os').getppid(), 0)", "a signal to another process"),
    ("__import__('ctypes').CDLL(None)", "functions of C (ctypes.dlopen)"),
    ("__import__('ctypes').pythonapi.connect", "functions of C (ctypes.dlsym)"),
]

FILES = [
    "open('/etc/passwd').read()",
    "open(f'/proc/{__import__(\"os\").getppid()}/environ').read()",
    "__import__('os').open('/root/.ssh/id_rsa', 0)",
    "open('/tmp/bellwether-test-of-the-guard', 'w')",
    "__import__('os').symlink('/etc/passwd', 'link')",
    "__import__('os').link('/etc/passwd', folder + '/link')",
    "__import__('os').rename(folder + '/own', '/tmp/moved')",
    "__import__('os').remove('/tmp/bellwether-no-such-file')",
    "__import__('sqlite3').connect('/root/airflow/airflow.db')",
]

NEEDED = [
    ("__import__('socket').getaddrinfo('gateway', 8000)[0][4]", "('127.0.0.1', 8000)"),
    ("__import__('socket').gethostbyname('gateway')", "'127.0.0.1'"),
    ("open(folder + '/own').read()", "'1'"),
    ("open(folder + '/new', 'w').write('22')", "2"),
    ("bool(open('/proc/self/schedstat').read())", "True"),
    ("__import__('importlib').import_module('xml.dom.minidom').__name__", "'xml.dom.minidom'"),
    ("bool(__import__('ssl').create_default_context())", "True"),
    ("__import__('sqlite3').connect(':memory:').execute('select 1').fetchone()", "(1,)"),
    ("__import__('ctypes').pythonapi.Py_GetVersion is not None", "True"),
]


def test_what_a_load_must_not_reach_is_refused_and_ends_it(tmp_path: Path) -> None:
    """Whichever function of Python asks for it."""
    for (code, what), found in zip(BREACHES, attempts([code for code, _ in BREACHES], tmp_path), strict=True):
        assert found["outcome"].startswith("GuardRefused: [Errno 1] refused: a locustfile may not have"), (code, found)
        assert found["breach"].startswith(f"stopped: the locustfile wanted {what}"), (code, found)
        assert found["reported"] == [found["breach"]], code


def test_files_outside_the_own_folder_are_refused_and_the_load_goes_on(tmp_path: Path) -> None:
    """Many libraries look for a file of settings, and do without it."""
    (tmp_path / "own").write_text("1", encoding="utf-8")
    for code, found in zip(FILES, attempts(FILES, tmp_path), strict=True):
        assert "a locustfile may not" in found["outcome"], (code, found)
        assert found["breach"] is None, code


def test_what_a_locustfile_needs_is_there(tmp_path: Path) -> None:
    """Its host, its own files, and Python."""
    (tmp_path / "own").write_text("1", encoding="utf-8")
    for (code, result), found in zip(NEEDED, attempts([code for code, _ in NEEDED], tmp_path), strict=True):
        assert (found["outcome"], found["result"], found["breach"]) == ("done", result, None), code
