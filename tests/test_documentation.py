"""The documents: links lead somewhere, named paths exist, every page can be found, and the words are ours."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
MAX_README_LINES = 250
BANNED_WORDS = ("tell", "tells", "told", "held to", "for sure")
"""Words of the former house dialect; the glossary in CONTRIBUTING.md has better ones."""

CHECKED_FOLDERS = (
    "benchmarks",
    "compose",
    "dags",
    "demo",
    "docs",
    "grafana",
    "include",
    "kubernetes",
    "plugins",
    "tests",
)

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
_MODULE = re.compile(r"python3? -m ((?:include|demo|benchmarks)(?:\.\w+)*)")
_TARGET = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)\b(?!\.)")
_VARIABLE = re.compile(r"\bBELLWETHER_[A-Z_]*[A-Z]\b")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_readme_is_short() -> None:
    """The README is a newcomer's page; everything else has a page of its own."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_links_resolve(document: Path) -> None:
    """Every relative link leads to an existing file, and every anchor to a heading in it."""
    broken = [link for link in _links(document) if not _resolves(link, document)]
    assert broken == []


def test_named_paths_exist(document: Path) -> None:
    """Every path of the repository that a document names in backticks exists."""
    pattern = rf"({'|'.join(CHECKED_FOLDERS)})/[\w./*-]*"
    named = [name for name in _inline_code(document) if re.fullmatch(pattern, name) and not _is_below_tests(name)]
    missing = [name for name in named if not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []


def test_named_tests_exist(document: Path) -> None:
    """Every test file that a document names by a part of its path is below ``tests/``."""
    named = [name for name in _inline_code(document) if re.fullmatch(r"[\w./*-]*\btest_[\w*]+\.py", name)]
    missing = [name for name in named if not list((ROOT / "tests").glob(f"**/{name.removeprefix('tests/')}"))]
    assert missing == []


def test_named_commands_exist(document: Path) -> None:
    """Every ``python -m`` names a module of ours that can be run, and every ``make`` a target."""
    text = document.read_text()
    code = "\n".join([*_INLINE_CODE.findall(text), *_FENCE.findall(text)])
    modules = [name for name in _MODULE.findall(code) if not _is_runnable(name)]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert modules == []
    assert [name for name in _TARGET.findall(code) if name not in targets] == []


def test_named_variables_exist(document: Path) -> None:
    """Every environment variable that a document names is read somewhere."""
    known = _variables_of_the_code()
    assert [name for name in _VARIABLE.findall(document.read_text()) if name not in known] == []


def test_every_page_is_one_click_away() -> None:
    """The index links to every page."""
    linked = {(INDEX.parent / link.partition("#")[0]).resolve() for link in _links(INDEX)}
    assert [page.name for page in PAGES if page != INDEX and page not in linked] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != INDEX], ids=lambda path: path.name)
def test_every_page_links_back(page: Path) -> None:
    """Each page links to the index right below its title."""
    title, blank, back = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert (blank, back) == ("", "[← All pages](README.md)")


def test_words_are_plain(document: Path) -> None:
    """No document uses the words that the glossary replaced."""
    text = " ".join(document.read_text().split())
    found = [word for word in BANNED_WORDS if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    assert found == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What happens when", "what-happens-when"),
        ("services.yaml", "servicesyaml"),
        ("What an hour's record costs", "what-an-hours-record-costs"),
        ("The rooms of `include/perf`", "the-rooms-of-includeperf"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    """A heading's anchor is lower case, without punctuation, and with hyphens for spaces."""
    assert _anchor(heading) == anchor


def _links(document: Path) -> list[str]:
    text = _INLINE_CODE.sub("", _FENCE.sub("", document.read_text()))
    return [link for link in _LINK.findall(text) if "://" not in link]


def _resolves(link: str, document: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(document: Path) -> set[str]:
    return {_anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", document.read_text()))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _inline_code(document: Path) -> list[str]:
    return _INLINE_CODE.findall(_FENCE.sub("", document.read_text()))


def _is_below_tests(name: str) -> bool:
    """Whether a name is that of a test file by its path below ``tests/``."""
    return "/test_" in name and not name.startswith("tests/")


def _is_runnable(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def _variables_of_the_code() -> set[str]:
    return {name for path in _code_files() for name in _VARIABLE.findall(path.read_text())}


def _code_files() -> Iterator[Path]:
    yield ROOT / "docker-compose.yaml"
    for folder in ("benchmarks", "demo", "grafana", "include", "kubernetes", "plugins", "tests"):
        yield from (ROOT / folder).rglob("*.py")
        yield from (ROOT / folder).rglob("*.yaml")
