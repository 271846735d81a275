"""No line of ours runs text as code or in a shell, reads data that can contain code, or sends text unescaped."""

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
    "__import__": "runs the module of a name",
    "os.system": "goes through a shell",
    "os.popen": "goes through a shell",
    "subprocess.getoutput": "goes through a shell",
    "subprocess.getstatusoutput": "goes through a shell",
    "asyncio.create_subprocess_shell": "goes through a shell",
    "pickle.load": "runs code from its input",
    "pickle.loads": "runs code from its input",
    "marshal.loads": "runs code from its input",
    "shelve.open": "runs code from its input",
    "yaml.unsafe_load": "runs code from its input",
    "yaml.full_load": "creates objects from its input",
    "pd.read_pickle": "runs code from its input",
    "np.load": "may run code from its input",
    "tempfile.mktemp": "returns a name that another process may use first",
}
LOADERS = {"StrictLoader"}


def calls_in(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its name as in the source."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return a keyword argument; None without it."""
    return next((argument.value for argument in call.keywords if argument.arg == name), None)


def problems_of(name: str, call: ast.Call) -> Iterator[str]:
    """Yield the problems of a call."""
    if name in FORBIDDEN_CALLS:
        yield f"{name} {FORBIDDEN_CALLS[name]}"
    if name.startswith("subprocess."):
        if keyword(call, "shell") is not None:
            yield "a shell"
        if call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
            yield f"a command that is not a list: {ast.unparse(call.args[0])}"
    if name == "yaml.load" and ast.unparse(keyword(call, "Loader") or call) not in LOADERS:
        yield "a loader that is not ours"
    is_of_templates = name in ("Environment", "jinja2.Environment") and keyword(call, "user_classes") is None
    if is_of_templates and ast.unparse(keyword(call, "autoescape") or call) != "True":
        yield "templates that do not escape"
    verifies = keyword(call, "verify")
    if isinstance(verifies, ast.Constant) and verifies.value is False:
        yield "TLS without verification"


@pytest.mark.parametrize("path", PATHS)
def test_no_text_becomes_code(path: str) -> None:
    """No shell, no code from text, no format that can contain code, no template without escaping."""
    found = [
        f"line {call.lineno}: {problem}"
        for name, call in calls_in(PROJECT / path)
        for problem in problems_of(name, call)
    ]
    assert found == []


def test_the_search_finds_problems(tmp_path: Path) -> None:
    """Otherwise an empty result would prove nothing."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "subprocess.run('rm ' + x, shell=True)\nyaml.load(x, Loader=yaml.Loader)\neval(x)\nEnvironment()\n"
        "requests.get(x, verify=False)\n",
        encoding="utf-8",
    )
    problems = [problem for name, call in calls_in(bad) for problem in problems_of(name, call)]
    assert len(problems) == 6, problems


@pytest.mark.parametrize("path", [str(path.relative_to(PROJECT)) for path in TEMPLATES])
def test_no_template_disables_escaping(path: str) -> None:
    """Markup is declared in Python, where the linter demands a reason; not in templates."""
    text = (PROJECT / path).read_text(encoding="utf-8")
    assert re.findall(r"\|\s*safe\b|autoescape\s+false|\bon\w+=|javascript:|style=\"[^\"]*\{\{", text) == []


def test_every_exception_of_the_linter_has_its_reason() -> None:
    """A security rule is disabled for single lines only, with a reason there or at an earlier line of the same rule."""
    for path in PATHS:
        explained: set[str] = set()
        for rule, reason in re.findall(
            r"# noqa: (S\d+)(?: - (.+))?$", (PROJECT / path).read_text("utf-8"), re.MULTILINE
        ):
            explained |= {rule} if reason else set()
            assert rule in explained, path
