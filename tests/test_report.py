"""Reports: what a reader learns from them alone, that they are well formed, and that no text of a descriptor becomes markup."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from infragen import units
from infragen.decide.model import Program
from infragen.diagnostics import Diagnostics
from infragen.pipeline import PLAN_FILE, Compilation
from infragen.render import comparison, graph, html, markdown, report, text
from infragen.render.report import Resource
from infragen.verify import dependencies
from infragen.write import Change, Kind
from tests.examples import ROOT
from tests.goldens import REWRITE
from tests.workloads import FOLDER, REPORTED, compiled, reported

ATTACK = """</td></script><script>alert(1)</script>|`*_[x](https://e.example)~~@everyone ![i](//e.example) &lt; "'><img src=x onerror=alert(1)>"""
VOID = {"meta", "br", "rect", "circle", "path", "link", "img", "hr", "input"}
GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Page(HTMLParser):
    """What a page holds: tags in balance, attributes, ids, the text that is read."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(name: str) -> Page:
    return Page(html.page([reported(name)]))


@pytest.mark.parametrize("name", REPORTED)
def test_a_reader_of_the_page_learns_what_was_chosen_why_what_it_costs_and_what_would_be_cheaper(name):
    plan, read = compiled(name).plan, page_of(name).text
    machine, region = plan.machine.choice, plan.location.choice.region
    assert f"{machine.nodes} × {machine.type}" in read and f"{region.name} ({region.location})" in read
    for decision in (plan.machine, plan.capacity, plan.location):
        for one in decision.because:
            assert one.text.replace("`", "").replace(" ", "") in read.replace("`", "").replace(" ", "")
    costs = plan.estimate.costs
    total = units.usd(plan.estimate.usd_total.expected if plan.estimate.usd_total else costs.total or 0)
    assert (total in read) if costs.total is not None else ("not known" in read)
    assert read.count("not counted") == len(costs.unknown)
    ranked, others = plan.machine.ranked, (*plan.machine.alternatives, *plan.location.alternatives)
    price = [one.usd_per_hour if one.usd_total is None else one.usd_total for one in (ranked, *others)]
    cheaper = sorted(one for one in price[1:] if price[0] and one and one < price[0])
    if price[0] is None:
        assert "no price for the choice" in read
    elif cheaper:
        assert "would cost less" in read and units.usd(cheaper[0]) in read
    else:
        assert "Nothing cheaper meets the need" in read
    for one in plan.advice:
        assert one.change in read and one.because in read
    for one in plan.machine.rejected:
        assert one.candidate in read and one.rule in read


@pytest.mark.parametrize("name", REPORTED)
def test_a_page_is_well_formed_and_needs_nothing_else(name):
    page = page_of(name)
    assert not page.tags & {"script", "link", "iframe", "img", "object", "embed", "form"}
    assert not [value for key, value in page.attributes if key in ("src", "href") and not value.startswith("#")]
    ids = [value for key, value in page.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    assert {part for key, value in page.attributes if key == "aria-labelledby" for part in value.split()} <= set(ids)
    source = html.page([reported(name)])
    assert not re.search(r"url\(|@import|https?://", source)
    for drawing in re.findall(r'<svg role="img".*?</svg>', source, re.S):
        assert re.search(r"<title[^>]*>\s*\S", drawing) and re.search(r"<desc[^>]*>\s*\S", drawing)
    levels = [int(level) for level in re.findall(r"<h(\d)", source)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))


def test_every_run_gives_the_same_bytes():
    command = [sys.executable, "-m", "infragen", "plan", "examples/01-serve-llama-8b/workload.yaml"]
    for form in ("html", "markdown"):
        runs = {
            subprocess.run(
                [*command, "--format", form],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(runs) == 1


def attacked() -> Compilation:
    """A run whose every text of the user's is hostile."""
    run = compiled("01-serve-llama-8b")
    plan = replace(
        run.plan,
        name=ATTACK,
        labels=((ATTACK, ATTACK),),
        model_name=ATTACK,
        program=Program(ATTACK, (ATTACK, "\x1b[31m\u202e"), (), ()),
        capacity=replace(run.plan.capacity, choice=replace(run.plan.capacity.choice, reservation=ATTACK)),
    )
    diags = Diagnostics()
    diags.extend(run.diagnostics)
    diags.extend(replace(one, message=ATTACK, help=ATTACK, label=ATTACK) for one in run.diagnostics)
    return Compilation(diags, ATTACK, plan, run.stack, run.files)


def test_an_attack_on_the_page_stays_text():
    found = comparison.Comparison((comparison.Row(ATTACK, ATTACK, ATTACK),), (ATTACK,), (ATTACK,))
    page = Page(html.page([report.build(attacked(), [Change(ATTACK, Kind.CREATED, "")], found)]))
    assert not page.tags & {"script", "img", "a"}
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    shown = "".join(page.words).replace("`", "")
    assert shown.count(ATTACK.replace("`", "")) >= 10
    assert "␛[31m<U+202E>" in shown


def test_an_attack_on_the_comment_stays_text():
    found = comparison.Comparison((comparison.Row(ATTACK, ATTACK, ATTACK),), (ATTACK,), (ATTACK,))
    comment = markdown.comment([report.build(attacked(), [Change(ATTACK, Kind.CREATED, "")], found)])
    page = Page(GITHUB.render(comment))
    assert not page.tags & {"script", "img", "a", "s", "em"}
    assert "".join(page.words).replace("`", "").replace("\u200b", "").count(ATTACK.replace("`", "")) >= 6
    assert "@everyone" not in re.sub(r"<code>.*?</code>", "", GITHUB.render(comment)), "nobody is called"
    assert comment.count("-->") == 1


@given(st.text(min_size=1))
@settings(max_examples=300, deadline=None)
def test_any_text_is_one_cell_and_one_line(written):
    table = f"| a | b |\n|---|---|\n| {markdown.words(written)} | <code>{markdown.code(written)}</code> |\n"
    tokens = GITHUB.parse(table)
    assert sum(token.type == "td_open" for token in tokens) == 2
    inline = [token for token in tokens if token.type == "inline"][2:]
    assert {child.type for token in inline for child in token.children} <= {"text", "html_inline", "text_special"}


@pytest.mark.parametrize("name", REPORTED)
def test_a_comment_is_valid_markdown(name):
    comment = markdown.comment([reported(name)])
    assert comment.startswith(f"<!-- infragen:{compiled(name).plan.name} -->\n")
    page = Page(GITHUB.render(comment))
    assert {"h2", "table", "details", "summary"} <= page.tags
    for table in re.findall(r"<table>.*?</table>", GITHUB.render(comment), re.S):
        widths = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.S)}
        assert len(widths) == 1
    assert "|" not in re.sub(r"<[^>]*>", "", GITHUB.render(comment)), "a table that was not read as one"
    assert len(comment) < markdown.LONGEST


@pytest.mark.parametrize("name", [name for name in REPORTED if (FOLDER / f"{name}.yaml").exists()])
def test_comment_is_the_golden_one(name):
    golden = FOLDER / f"{name}.md"
    comment = markdown.comment([reported(name)])
    if REWRITE:
        golden.write_text(comment, encoding="utf-8")
    assert comment == golden.read_text(encoding="utf-8"), "if this is what you meant: make golden, and review git diff"


def test_a_comment_that_would_be_too_long_leaves_the_folded_parts_out():
    many = [reported("01-serve-llama-8b")] * 12
    comment = markdown.comment(many)
    assert len(comment) <= markdown.LONGEST
    assert comment.count("<!-- infragen:support-chat -->") == 12
    assert "<details>" not in comment and "left out" in comment


def changed_record(**decided) -> str:
    """The record of the first example, as it was written by an earlier plan."""
    record = json.loads(compiled("01-serve-llama-8b").files[PLAN_FILE])
    record["decisions"]["machine"]["choice"] |= {"nodes": 5, "type": "n9-old"}
    record["estimate"]["usd_per_hour"]["total"] = 12.6187
    record["decisions"]["storage"] = []
    record["resources"] = [*record["resources"][1:], {"address": "google_compute_disk.gone", "provider": "google"}]
    return json.dumps(record | decided)


def test_what_changed_since_the_last_plan():
    now = compiled("01-serve-llama-8b").files[PLAN_FILE]
    assert comparison.compare(now, now).is_empty
    found = comparison.compare(changed_record(), now)
    rows = {row.what: row for row in found.rows}
    assert rows["machine"].before.startswith("5 × n9-old")
    assert (rows["cost an hour"].before, rows["cost an hour"].now, rows["cost an hour"].change) == (
        "12.62 USD",
        "6.45 USD",
        "−49%",
    )
    assert rows["storage: weights"].before == "none"
    assert found.added == ("google_compute_address.main",) and found.removed == ("google_compute_disk.gone",)
    assert set(rows) == {"machine", "cost an hour", "storage: weights"}
    assert "12.62 USD -> 6.45 USD (−49%)" in text.comparison(found)


@pytest.mark.parametrize(
    "before",
    ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000, changed_record(decisions={"machine": 3}), changed_record(resources=[1]), '{"estimate": NaN}', "\udc80"],
)  # fmt: skip
def test_a_last_plan_that_is_none_is_said_to_be_none(before):
    found = comparison.compare(before, compiled("01-serve-llama-8b").files[PLAN_FILE])
    assert found.problem and not found.rows
    shown = report.build(compiled("01-serve-llama-8b"), (), found)
    assert found.problem in Page(html.page([shown])).text and found.problem in markdown.comment([shown])


def test_resources_refer_to_what_their_text_names():
    found = dependencies.resources(compiled("01-serve-llama-8b").files)
    assert found["google_compute_subnetwork.main"].needs == ("google_compute_network.main",)
    assert "google_compute_instance_template.main" in found["google_compute_region_instance_group_manager.main"].needs
    assert set(found) == {address for address, _ in compiled("01-serve-llama-8b").stack.resources}
    assert {need for one in found.values() for need in one.needs} <= set(found)


@given(st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=41))
@settings(deadline=None)
def test_a_drawing_keeps_the_order_of_creation_and_every_way(choices):
    names = [f"google_x.n{index}" for index in range(len(choices))]
    needs = {
        name: sorted({names[one] for one in picked if one < index})
        for index, (name, picked) in enumerate(zip(names, choices, strict=True))
    }
    drawn = graph.draw([Resource(name, "google", "main.tf", tuple(of)) for name, of in needs.items()])
    row = {f"google_{node.type}.{node.name}": node.index for node in drawn.nodes}
    assert sorted(row.values()) == list(range(len(names)))
    assert drawn.height == len(names) * graph.ROW and graph.GUTTER - 0.75 * graph.FAR > 0, "arcs bend within their room"
    assert all(row[need] < row[name] for name, of in needs.items() for need in of)
    arcs = {(arc.source, arc.target) for arc in drawn.arcs}

    def leads(source: int, target: int) -> bool:
        return source == target or any(leads(source, above) for above, below in arcs if below == target)

    assert arcs <= {(row[need], row[name]) for name, of in needs.items() for need in of}
    assert all(leads(row[need], row[name]) for name, of in needs.items() for need in of)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_stands_out_from_paper(scheme):
    """Contrast of text by WCAG 2.2: at least 4.5 to 1; of bars, 3 to 1."""
    blocks = re.findall(r":root \{(.*?)\}", (ROOT / "templates" / "report" / "page.css").read_text(), re.S)
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", blocks[0] if scheme == "light" else blocks[1]))
    for paper in ("paper", "raised"):
        for ink, least in (
            *((one, 4.5) for one in ("ink", "quiet", "accent", "warm", "bad")),
            *((one, 3) for one in ("cost", "clean", "m1", "m2", "m3", "m4", "m5", "m6")),
        ):
            assert contrast(colours[ink], colours[paper]) >= least, (ink, paper)


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
