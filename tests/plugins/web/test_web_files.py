"""Files: only those that may be had, only those that are there, and none that runs."""

from pathlib import Path

import pytest

from include.perf.pages.rendering import static_version
from tests.plugins.web.conftest import Pages

RUN = "/runs/engine/calm/run-1"


@pytest.fixture
def folder(pages: Pages) -> Path:
    """The folder of a finished run."""
    pages.keep()
    return pages.store.root / "engine" / "calm" / "run-1"


def test_a_file_is_to_be_kept(pages: Pages, folder: Path) -> None:
    """It is sent as it is, and never shown as a page of this site."""
    (folder / "report.html").write_text("<script>alert(1)</script>", encoding="utf-8")
    answer = pages.get(f"{RUN}/files/report.html")
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_large_file_is_sent_in_parts(pages: Pages, folder: Path) -> None:
    """All of it arrives."""
    content = bytes(range(256)) * 4096  # 1 MiB, four parts
    (folder / "requests.csv.gz").write_bytes(content)
    assert pages.get(f"{RUN}/files/requests.csv.gz").content == content


@pytest.mark.parametrize(
    "name",
    ["stage-spec.json", "feed.jsonl", ".run.json.tmp", "..%2Frun.json", "%2Fetc%2Fpasswd", "charts", "run.json%00"],
)
def test_no_other_name_is_sent(pages: Pages, folder: Path, name: str) -> None:
    """What lies in the folder besides, and what lies elsewhere."""
    (folder / "stage-spec.json").write_text("{}", encoding="utf-8")
    (folder / "feed.jsonl").write_text("{}", encoding="utf-8")
    assert pages.get(f"{RUN}/files/{name}").status_code == 404


def test_a_file_that_is_gone(pages: Pages, folder: Path) -> None:
    """Raw requests are kept for some weeks; the page says so."""
    assert not (folder / "requests.csv.gz").exists()
    answer = pages.get(f"{RUN}/files/requests.csv.gz")
    assert answer.status_code == 404
    assert "kept for some weeks only" in answer.text


def test_a_link_leads_nowhere(pages: Pages, folder: Path, tmp_path: Path) -> None:
    """A link in place of a file would lead out of the store."""
    (tmp_path / "private").write_text("private", encoding="utf-8")
    (folder / "report.md").symlink_to(tmp_path / "private")
    assert pages.get(f"{RUN}/files/report.md").status_code == 404


def test_charts_are_shown(pages: Pages, folder: Path) -> None:
    """As the images that they are; one that is opened by itself runs nothing."""
    (folder / "charts").mkdir()
    for name in ("latency.png", "latency.svg", "latency.dark.svg"):
        (folder / "charts" / name).write_bytes(b"image")
    for name, kind in (("latency.png", "image/png"), ("latency.dark.svg", "image/svg+xml")):
        answer = pages.get(f"{RUN}/charts/{name}")
        assert (answer.content, answer.headers["content-type"]) == (b"image", kind)
        assert "sandbox" in answer.headers["content-security-policy"]
    shown = pages.get(RUN).text
    assert f"{RUN}/charts/latency.svg" in shown
    assert f"{RUN}/charts/latency.dark.svg" in shown


@pytest.mark.parametrize("name", ["latency.exe", "..%2Frun.json", "Latency.png", ".png", "latency.svg.png"])
def test_no_other_chart_is_sent(pages: Pages, folder: Path, name: str) -> None:
    """Names that no chart has are not looked for."""
    (folder / "charts").mkdir()
    assert pages.get(f"{RUN}/charts/{name}").status_code == 404


def test_styles_and_scripts_are_kept_until_they_change(pages: Pages) -> None:
    """With the version in the address for good, without it never unasked."""
    named = pages.get(f"/static/page.css?v={static_version()}")
    assert (named.headers["content-type"], named.headers["cache-control"]) == (
        "text/css; charset=utf-8",
        "private, max-age=31536000, immutable",
    )
    assert pages.get("/static/page.css").headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["LICENSE", "..%2Frendering.py", "nothing.css"])
def test_no_other_static_file_is_sent(pages: Pages, name: str) -> None:
    """Only what pages use."""
    assert pages.get(f"/static/{name}").status_code == 404
