"""The report as HTML: self-contained, with the content of the Markdown, and safe for any text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from include.perf.reporting import html_page, markdown_text
from include.perf.reporting.document import (
    Bullets,
    ChartFigure,
    Code,
    Column,
    Command,
    Document,
    DocumentLink,
    Mark,
    Paragraph,
    Section,
    Strong,
    Table,
    Tone,
    Trend,
)
from include.perf.reporting.report import run_document
from include.perf.runs.figures import ErrorGroup
from include.perf.runs.record import RunRecord, Verdict
from tests.records import endpoint_figures, record_of, run_record

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}\x1b[31m\u202egnp.exe"
VOID = {"meta", "img", "path", "polyline", "circle", "br"}


class Tags(HTMLParser):
    """Collects the tags of a page, and checks that each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such tag."""
        return [attributes for name, attributes in self.found if name == tag]


def nothing(_: str) -> None:
    return None


def page_of(record: RunRecord, **given: Any) -> str:
    return html_page.page(run_document(record, charts={}, **given), image=nothing)


def document(*blocks: Any) -> Document:
    """Return a document of one section."""
    mark = Mark("PASS", Tone.GOOD)
    return Document(mark=mark, subject="a", finding="b", lead=(), sections=(Section("Part", blocks),))


@pytest.mark.parametrize("verdict", Verdict)
def test_it_has_the_content_of_the_markdown(verdict: Verdict) -> None:
    """All words of all tables and lists, for every verdict."""
    made = run_document(record_of(verdict), charts={}, history={"latency_p95": (0.041, 0.042)})
    read = " ".join(Tags(html_page.page(made, image=nothing)).text.split())
    written = markdown_text.render(made)
    for line in written.splitlines():
        for cell in re.split(r"\s*\|\s*", line.removeprefix("# ").removeprefix("## ").removeprefix("- ")):
            words = re.sub(r"[*`\\]|^-+:?$", "", cell)
            if set(words) & set(markdown_text.BARS) or words.startswith(verdict.value) or not words.strip():
                continue
            assert " ".join(words.split()) in read, words


def test_the_verdict_comes_first() -> None:
    """It is the first word of the page, followed by the finding as heading."""
    page = page_of(record_of(Verdict.REGRESSION))
    read = " ".join(Tags(page).text.partition("</style>")[0].split())
    assert "<h1>Latency p95 is 45\N{NO-BREAK SPACE}% above its baseline" in page
    assert page.index('class="mark verdict bad">REGRESSION<') < page.index("<h1>") < page.index("<h2")
    assert read.startswith("REGRESSION · analysis-engine-service · market_open – ")


def test_the_page_loads_and_runs_nothing() -> None:
    """Its policy allows the inline stylesheet, by its digest, and inline images; there is no script."""
    page = page_of(run_record())
    tags = Tags(page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = tags.all("meta")[1]["content"]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert {"script", "link", "iframe", "object", "form"}.isdisjoint(name for name, _ in tags.found)
    assert not any(
        "style" in attributes or name.startswith("on") for _, attributes in tags.found for name in attributes
    )
    assert "url(" not in style
    assert "@import" not in style


def test_hostile_text_is_escaped() -> None:
    """In every place for text of a service or a person."""
    record = run_record(
        service=HOSTILE,
        environment=HOSTILE,
        reasons=(HOSTILE,),
        notes=(HOSTILE,),
        validity=(HOSTILE,),
        endpoints=(endpoint_figures(name=HOSTILE),),
        errors=(ErrorGroup(kind=HOSTILE, endpoint=HOSTILE, count=3, example=HOSTILE),),
        fingerprint={HOSTILE: HOSTILE},
        deploy_version=HOSTILE,
    )
    harmless = Tags(page_of(run_record()))
    tags = Tags(page_of(record))
    assert {name for name, _ in tags.found} == {name for name, _ in harmless.found} | {"ul"}
    assert "{{ 7 * 7 }}" in tags.text
    assert "<script>alert(1)</script>" in tags.text
    assert not re.search("[\x00-\x08\x1b\u202e]", page_of(record))


def test_tables_are_accessible() -> None:
    """They have captions, scopes of headings, labelled cells, and no empty heading."""
    page = page_of(run_record(), history={"latency_p95": (0.041, 0.042)})
    tags = Tags(page)
    assert len(tags.all("caption")) == len(tags.all("table")) == 5
    assert {heading["scope"] for heading in tags.all("th")} == {"col", "row"}
    assert all(cell["data-column"] for cell in tags.all("td"))
    assert "<th></th>" not in page
    assert [heading["id"] for heading in tags.all("h2")] == [
        section["aria-labelledby"] for section in tags.all("section")
    ]
    assert tags.all("html")[0]["lang"] == "en"


def test_a_trend_is_drawn_and_described() -> None:
    """Baseline 42.1 ms ± 5 ms: from 37.1 to 47.1 ms; the drawing has 90 × 18 of 96 × 24 pixels."""
    page = page_of(run_record(), history={"latency_p95": (0.0371, 0.0471)})
    tags = Tags(page)
    (trend,) = tags.all("svg")
    assert trend["role"] == "img"
    assert trend["aria-label"] == "2 earlier nights: 37.1\N{NO-BREAK SPACE}ms to 47.1\N{NO-BREAK SPACE}ms"
    # 42.4 ms is at (42.4 − 37.1) / 10 = 0.53: 3 + 18 × 0.47 = 11.46
    assert tags.all("polyline")[0]["points"] == "3.0,21.0 48.0,3.0 93.0,11.5"
    assert tags.all("path")[0]["d"] == "M0 12.0H96"


def test_a_trend_without_any_change_is_a_line_in_the_middle() -> None:
    """There is no division by zero."""
    flat = Trend(values=(1.0, 1.0), low=1.0, high=1.0, level=None, words="flat")
    assert flat.heights() == (0.5, 0.5)
    assert "12.0" in html_page.body(document(Paragraph(flat)), image=nothing)


def test_a_chart_follows_the_theme_of_its_page() -> None:
    """Both SVGs if both exist, else the PNG; without a file there is no broken image."""
    chart = document(ChartFigure(path="charts/latency.png", title="Latency"))
    both = {"charts/latency.svg": b"<svg/>", "charts/latency.dark.svg": b"<svg />", "charts/latency.png": b"png"}
    light, dark = Tags(html_page.body(chart, image=html_page.embedded(both.get))).all("img")
    assert (light["class"], dark["class"]) == ("on-light", "on-dark")
    assert light["src"] == f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    assert {light["alt"], dark["alt"]} == {"Latency"}
    for missing in ("charts/latency.svg", "charts/latency.dark.svg"):
        some = {path: content for path, content in both.items() if path != missing}
        (plain,) = Tags(html_page.body(chart, image=html_page.embedded(some.get))).all("img")
        assert plain["src"] == f"data:image/png;base64,{base64.b64encode(b'png').decode()}"
    assert "<figure" not in html_page.body(chart, image=nothing)


def test_images_may_have_other_addresses() -> None:
    """A page of the UI uses its own addresses."""
    chart = document(ChartFigure(path="charts/a b.png", title="x"))
    (image,) = Tags(html_page.body(chart, image=lambda path: f"/files/{path}?v=1&w=2" if ".png" in path else None)).all(
        "img"
    )
    assert image["src"] == "/files/charts/a b.png?v=1&w=2"


def test_the_body_is_an_article() -> None:
    """With a heading, and without a head element."""
    body = html_page.body(document(Paragraph("x")), image=nothing)
    assert body.lstrip().startswith('<article class="document">')
    assert "<head>" not in body
    assert "<h1>b</h1>" in body


def test_figures_are_kept_together_with_their_units() -> None:
    """There is no line break between 61.2 and ms; other words may break."""
    body = html_page.body(document(Paragraph("61.2 ms, 45 % of 3 services in 15 min")), image=nothing)
    assert "61.2\N{NO-BREAK SPACE}ms, 45\N{NO-BREAK SPACE}% of 3 services in 15\N{NO-BREAK SPACE}min" in body


def test_white_space_between_parts_is_kept() -> None:
    """In both formats."""
    made = document(
        Bullets((("98 × ", Strong("timeout"), " at ", Code("a|b"), ", see ", DocumentLink("there", "x?a=1&b=2")),))
    )
    assert "98 × <strong>timeout</strong> at <code>a|b</code>, see <a href" in html_page.body(made, image=nothing)
    assert 'href="x?a=1&amp;b=2"' in html_page.body(made, image=nothing)
    assert "- 98 × **timeout** at `a|b`, see [there](x?a=1&b=2)\n" in markdown_text.render(made)


def test_a_command_is_one_line() -> None:
    """Its content cannot end the block, in either format."""
    made = document(Command("run 'a\n```\nrm'"))
    assert "```\nrun 'a ``` rm'\n```\n" in markdown_text.render(made)


def test_a_row_of_the_wrong_length_is_refused() -> None:
    """Otherwise cells would be under the wrong heading."""
    with pytest.raises(ValueError, match="Rates: 1 cells in a row, but 2 columns"):
        Table(caption="Rates", columns=(Column("a"), Column("b")), rows=(("x",),))


def test_a_long_cell_does_not_widen_the_table() -> None:
    """In Markdown a column is padded to at most 80 characters."""
    table = Table(caption="x", columns=(Column("a"), Column("b")), rows=(("y" * 500, "1"), ("z", "2")))
    lines = markdown_text.render(document(table)).splitlines()
    assert max(len(line) for line in lines if "y" not in line) == len("| | |") + 80 + 3 + 2
