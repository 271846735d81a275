"""The report as HTML: whole in one file, the same story as the Markdown, and harmless whatever it is about."""

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
    """Collects the tags of a page, and insists that each is closed."""

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
def test_it_says_what_the_markdown_says(verdict: Verdict) -> None:
    """Every word of every table and list, for every verdict."""
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
    """As the first words of the page, then what was found as its heading."""
    page = page_of(record_of(Verdict.REGRESSION))
    read = " ".join(Tags(page).text.partition("</style>")[0].split())
    assert "<h1>Latency p95 is 45\N{NO-BREAK SPACE}% above its baseline" in page
    assert page.index('class="mark verdict bad">REGRESSION<') < page.index("<h1>") < page.index("<h2")
    assert read.startswith("REGRESSION · analysis-engine-service · market_open – ")


def test_the_page_loads_and_runs_nothing() -> None:
    """Its policy allows its own stylesheet, by its digest, and images within it; there is no script and no style."""
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


def test_hostile_text_stays_text() -> None:
    """In every place where text of a service or a person comes in."""
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


def test_every_table_can_be_found_and_read_aloud() -> None:
    """A caption, a scope for each heading, a name for every cell, and no heading left empty."""
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


def test_a_trend_is_drawn_and_told() -> None:
    """Level 42.1 ms, its floor 5 ms: from 37.1 to 47.1 ms; 18 of 24 pixels are used, and 96 − 6 across."""
    page = page_of(run_record(), history={"latency_p95": (0.0371, 0.0471)})
    tags = Tags(page)
    (trend,) = tags.all("svg")
    assert trend["role"] == "img"
    assert trend["aria-label"] == "2 nights before: 37.1\N{NO-BREAK SPACE}ms to 47.1\N{NO-BREAK SPACE}ms"
    # 42.4 ms stands at (42.4 − 37.1) / 10 = 0.53: 3 + 18 × 0.47 = 11.46
    assert tags.all("polyline")[0]["points"] == "3.0,21.0 48.0,3.0 93.0,11.5"
    assert tags.all("path")[0]["d"] == "M0 12.0H96"


def test_a_trend_without_any_change_is_a_line_in_the_middle() -> None:
    """And no division by zero."""
    flat = Trend(values=(1.0, 1.0), low=1.0, high=1.0, level=None, words="flat")
    assert flat.heights() == (0.5, 0.5)
    assert "12.0" in html_page.body(document(Paragraph(flat)), image=nothing)


def test_a_chart_is_shown_in_the_theme_of_its_page() -> None:
    """Both SVGs where both are there, else the PNG; without any file nothing, rather than a broken image."""
    chart = document(ChartFigure(path="charts/latency.png", title="Latency"))
    both = {"charts/latency.svg": b"<svg/>", "charts/latency.dark.svg": b"<svg />", "charts/latency.png": b"png"}
    light, dark = Tags(html_page.body(chart, image=html_page.embedded(both.get))).all("img")
    assert (light["class"], dark["class"]) == ("on-light", "on-dark")
    assert light["src"] == f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    assert {light["alt"], dark["alt"]} == {"Latency"}
    for left_out in ("charts/latency.svg", "charts/latency.dark.svg"):
        some = {path: content for path, content in both.items() if path != left_out}
        (plain,) = Tags(html_page.body(chart, image=html_page.embedded(some.get))).all("img")
        assert plain["src"] == f"data:image/png;base64,{base64.b64encode(b'png').decode()}"
    assert "<figure" not in html_page.body(chart, image=nothing)


def test_images_may_lie_elsewhere() -> None:
    """A page of the UI gives addresses of its own."""
    chart = document(ChartFigure(path="charts/a b.png", title="x"))
    (image,) = Tags(html_page.body(chart, image=lambda path: f"/files/{path}?v=1&w=2" if ".png" in path else None)).all(
        "img"
    )
    assert image["src"] == "/files/charts/a b.png?v=1&w=2"


def test_the_body_alone_is_an_article() -> None:
    """With its heading, and without a head."""
    body = html_page.body(document(Paragraph("x")), image=nothing)
    assert body.lstrip().startswith('<article class="document">')
    assert "<head>" not in body
    assert "<h1>b</h1>" in body


def test_figures_keep_together_with_their_units() -> None:
    """A line never breaks between 61.2 and ms; words that only look like units are left alone."""
    body = html_page.body(document(Paragraph("61.2 ms, 45 % of 3 services in 15 min")), image=nothing)
    assert "61.2\N{NO-BREAK SPACE}ms, 45\N{NO-BREAK SPACE}% of 3 services in 15\N{NO-BREAK SPACE}min" in body


def test_parts_of_a_text_keep_their_distance() -> None:
    """White space at the ends of a part is meant; in both forms."""
    made = document(
        Bullets((("98 × ", Strong("timeout"), " at ", Code("a|b"), ", see ", DocumentLink("there", "x?a=1&b=2")),))
    )
    assert "98 × <strong>timeout</strong> at <code>a|b</code>, see <a href" in html_page.body(made, image=nothing)
    assert 'href="x?a=1&amp;b=2"' in html_page.body(made, image=nothing)
    assert "- 98 × **timeout** at `a|b`, see [there](x?a=1&b=2)\n" in markdown_text.render(made)


def test_a_command_is_one_line() -> None:
    """What is in it cannot end the block, in either form."""
    made = document(Command("run 'a\n```\nrm'"))
    assert "```\nrun 'a ``` rm'\n```\n" in markdown_text.render(made)


def test_a_row_of_another_length_is_refused() -> None:
    """Before a cell stands under the wrong heading."""
    with pytest.raises(ValueError, match="Rates: 1 cells in a row, but 2 columns"):
        Table(caption="Rates", columns=(Column("a"), Column("b")), rows=(("x",),))


def test_one_long_cell_does_not_stretch_the_table() -> None:
    """In Markdown each column is padded to 80 characters at most."""
    table = Table(caption="x", columns=(Column("a"), Column("b")), rows=(("y" * 500, "1"), ("z", "2")))
    lines = markdown_text.render(document(table)).splitlines()
    assert max(len(line) for line in lines if "y" not in line) == len("| | |") + 80 + 3 + 2
