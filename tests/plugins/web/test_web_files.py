"""Files: only downloadable ones that exist, and none that a browser would execute."""

from pathlib import Path

import pytest

from include.perf.pages.rendering import static_version
from tests.plugins.web.conftest import Pages

RUN = "/runs/engine/calm/run-1"


@pytest.fixture
def folder(pages: Pages) -> Path:
    """The folder of a finished run."""
    pages.add_run()
    return pages.store.root / "engine" / "calm" / "run-1"


def test_a_file_is_a_download(pages: Pages, folder: Path) -> None:
    """It is sent unchanged, and never shown as a page of this site."""
    (folder / "report.html").write_text("<script>alert(1)</script>", encoding="utf-8")
    answer = pages.get(f"{RUN}/files/report.html")
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_large_file_is_sent_in_chunks(pages: Pages, folder: Path) -> None:
    """All of it arrives."""
    content = bytes(range(256)) * 4096  # 1 MiB, four chunks
    (folder / "requests.csv.gz").write_bytes(content)
    assert pages.get(f"{RUN}/files/requests.csv.gz").content == content


@pytest.mark.parametrize(
    "name",
    ["stage-spec.json", "feed.jsonl", ".run.json.tmp", "..%2Frun.json", "%2Fetc%2Fpasswd", "charts", "run.json%00"],
)
def test_no_other_name_is_sent(pages: Pages, folder: Path, name: str) -> None:
    """Neither other files in the folder nor files elsewhere."""
    (folder / "stage-spec.json").write_text("{}", encoding="utf-8")
    (folder / "feed.jsonl").write_text("{}", encoding="utf-8")
    assert pages.get(f"{RUN}/files/{name}").status_code == 404


def test_a_deleted_file(pages: Pages, folder: Path) -> None:
    """Raw requests are deleted after some weeks; the page says so."""
    assert not (folder / "requests.csv.gz").exists()
    answer = pages.get(f"{RUN}/files/requests.csv.gz")
    assert answer.status_code == 404
    assert "deleted after some weeks" in answer.text


def test_a_symbolic_link_is_not_followed(pages: Pages, folder: Path, tmp_path: Path) -> None:
    """It could lead out of the store."""
    (tmp_path / "private").write_text("private", encoding="utf-8")
    (folder / "report.md").symlink_to(tmp_path / "private")
    assert pages.get(f"{RUN}/files/report.md").status_code == 404


def test_charts_are_shown(pages: Pages, folder: Path) -> None:
    """They are sent as images, with a policy that forbids scripts."""
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
    """Names that no chart can have are refused."""
    (folder / "charts").mkdir()
    assert pages.get(f"{RUN}/charts/{name}").status_code == 404


def test_static_files_are_cached_until_they_change(pages: Pages) -> None:
    """A URL with the version is cached forever, one without is revalidated."""
    versioned = pages.get(f"/static/page.css?v={static_version()}")
    assert (versioned.headers["content-type"], versioned.headers["cache-control"]) == (
        "text/css; charset=utf-8",
        "private, max-age=31536000, immutable",
    )
    assert pages.get("/static/page.css").headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["LICENSE", "..%2Frendering.py", "nothing.css"])
def test_no_other_static_file_is_sent(pages: Pages, name: str) -> None:
    """Only the files that pages use."""
    assert pages.get(f"/static/{name}").status_code == 404
