"""What no line of ours does: run text as code or in a shell, read data that can be code, send text unescaped."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.socket_servers import PROJECT

CODE = sorted(path for folder in ("dags", "include", "plugins", "demo") for path in (PROJECT / folder).rglob("*.py"))
TEMPLATES = sorted(path for folder in ("include", "demo") for path in (PROJECT / folder).rglob("*.html"))
PATHS = [str(path.relative_to(PROJECT)) for path in CODE]

FORBIDDEN_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "runs text as code",
    "__import__": "runs what a name leads to",
    "os.system": "goes through a shell",
    "os.popen": "goes through a shell",
    "subprocess.getoutput": "goes through a shell",
    "subprocess.getstatusoutput": "goes through a shell",
    "asyncio.create_subprocess_shell": "goes through a shell",
    "pickle.load": "runs what it reads",
    "pickle.loads": "runs what it reads",
    "marshal.loads": "runs what it reads",
    "shelve.open": "runs what it reads",
    "yaml.unsafe_load": "runs what it reads",
    "yaml.full_load": "makes objects of what it reads",
    "pd.read_pickle": "runs what it reads",
    "np.load": "may run what it reads",
    "tempfile.mktemp": "names a file that another may make first",
}
LOADERS = {"StrictLoader"}


def calls_in(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its name as it is written."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return an argument by its name."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def problems_of(name: str, call: ast.Call) -> Iterator[str]:
    """Say what is wrong with a call."""
    if name in FORBIDDEN_CALLS:
        yield f"{name} {FORBIDDEN_CALLS[name]}"
    if name.startswith("subprocess."):
        if keyword(call, "shell") is not None:
            yield "a shell"
        if call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
            yield f"a command that is no list: {ast.unparse(call.args[0])}"
    if name == "yaml.load" and ast.unparse(keyword(call, "Loader") or call) not in LOADERS:
        yield "a loader that is not ours"
    is_of_templates = name in ("Environment", "jinja2.Environment") and keyword(call, "user_classes") is None
    if is_of_templates and ast.unparse(keyword(call, "autoescape") or call) != "True":
        yield "templates that do not escape"
    verifies = keyword(call, "verify")
    if isinstance(verifies, ast.Constant) and verifies.value is False:
        yield "TLS that nobody verifies"


@pytest.mark.parametrize("path", PATHS)
def test_no_text_becomes_code(path: str) -> None:
    """Data stays data: no shell, no code from text, no format that carries code, no template without escaping."""
    found = [
        f"line {call.lineno}: {problem}"
        for name, call in calls_in(PROJECT / path)
        for problem in problems_of(name, call)
    ]
    assert found == []


def test_the_look_itself_sees_what_is_wrong(tmp_path: Path) -> None:
    """Or its silence would prove nothing."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "subprocess.run('rm ' + x, shell=True)\nyaml.load(x, Loader=yaml.Loader)\neval(x)\nEnvironment()\n"
        "requests.get(x, verify=False)\n",
        encoding="utf-8",
    )
    problems = [problem for name, call in calls_in(bad) for problem in problems_of(name, call)]
    assert len(problems) == 6, problems


@pytest.mark.parametrize("path", [str(path.relative_to(PROJECT)) for path in TEMPLATES])
def test_no_template_takes_text_as_it_is(path: str) -> None:
    """What is markup is marked so in Python, where the linter asks why; no template decides it."""
    text = (PROJECT / path).read_text(encoding="utf-8")
    assert re.findall(r"\|\s*safe\b|autoescape\s+false|\bon\w+=|javascript:|style=\"[^\"]*\{\{", text) == []


def test_every_exception_of_the_linter_has_its_reason() -> None:
    """A rule about safety is set aside in one line only, and the line says why, or one above it of the same rule."""
    for path in PATHS:
        explained: set[str] = set()
        for rule, reason in re.findall(
            r"# noqa: (S\d+)(?: - (.+))?$", (PROJECT / path).read_text("utf-8"), re.MULTILINE
        ):
            explained |= {rule} if reason else set()
            assert rule in explained, path
