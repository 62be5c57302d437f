"""The HTML report in a real browser: drawn, open to read, quiet, and as wide as the screen."""

from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page

from infragen.render import comparison, html, report
from infragen.write import Change, Kind
from tests import chromium
from tests.examples import EXAMPLES, ROOT
from tests.workloads import compiled, reported

SHOTS = ROOT / "build" / "screenshots"  # kept for people to look at
READ = [*EXAMPLES, "render-pool"]
SCREENS = {"desktop": (1280, 900), "tablet": (768, 1024), "phone": (360, 740), "small phone": (320, 568)}

pytestmark = pytest.mark.xdist_group("browser")


class Opened(NamedTuple):
    """A page in a window of its own, what it said and what it asked for."""

    page: Page
    file: Path
    said: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def browser():
    with chromium.open_browser() as running:
        yield running


def open_page(browser, file: Path, text: str) -> Opened:
    """The page from the disk, as a person opens it."""
    file.write_text(text, encoding="utf-8")
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return Opened(page, file, said, asked)


@pytest.fixture(scope="module", params=READ)
def opened(request, browser, tmp_path_factory):
    """The page of a workload. The tests below change its window and what is open in it."""
    file = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    found = open_page(browser, file, html.page([reported(request.param)]))
    yield found
    found.page.context.close()
    assert (found.said, found.asked) == ([], [file.as_uri()]), "after all that the tests did"


def test_everything_is_drawn(opened):
    drawn = "[...document.querySelectorAll('svg')].filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect())"
    boxes = opened.page.evaluate(f"{drawn}.map(one => [one.width, one.height])")
    assert boxes and all(width > 100 and height > 4 for width, height in boxes)
    assert opened.page.locator(".graph path.e").count() >= 10
    bars = "[...document.querySelectorAll('.chart .chosen .bar, .memory .part rect')].map(one => one.getBoundingClientRect().width)"
    widths = opened.page.evaluate(bars)
    assert widths and min(widths) > 1
    if opened.file.stem == READ[0]:
        opened.page.screenshot(path=SHOTS / f"{opened.file.stem}.png", full_page=True)


def test_details_open_and_show_reasons_and_rejections(opened):
    machine = opened.page.locator("details.decision").filter(has_text="Machines").first
    rejected = machine.locator("details").filter(has_text="rejected by").last
    assert not rejected.locator(".removed").first.is_visible()
    machine.locator("summary").first.click()
    assert machine.locator(".reasons").first.is_visible()
    rejected.locator("summary").first.click()
    assert rejected.locator(".removed .rule").first.is_visible()


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_screen(opened, screen):
    width, height = SCREENS[screen]
    opened.page.set_viewport_size({"width": width, "height": height})
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    clash = """[...document.querySelectorAll('.chart .row')].flatMap(row => {
        const [label, value] = [...row.querySelectorAll('text')].map(one => one.getBoundingClientRect());
        return label.right > value.left ? [row.textContent.trim()] : [];
    })"""
    assert opened.page.evaluate(clash) == [], "a label runs into its value"


def test_dark_mode_has_colours_of_its_own(opened):
    opened.page.set_viewport_size({"width": 360, "height": 740})
    seen = {}
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        style = "getComputedStyle(document.body)"
        paper, ink, bar = opened.page.evaluate(
            f"[{style}.backgroundColor, {style}.color, getComputedStyle(document.querySelector('.bar')).fill]"
        )
        seen[scheme] = [sum(map(int, colour[4:-1].split(","))) for colour in (paper, ink)]
        seen[f"{scheme} bar"] = bar
    assert seen["light"][0] > 600 > 200 > seen["light"][1], "dark ink on light paper"
    assert seen["dark"][0] < 150 < 500 < seen["dark"][1], "light ink on dark paper"
    assert seen["light bar"] != seen["dark bar"]
    if opened.file.stem == READ[0]:
        opened.page.screenshot(path=SHOTS / f"{opened.file.stem}-phone-dark.png", full_page=True)


def test_paper_shows_what_is_folded(opened):
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = false)")
    opened.page.emulate_media(media="print")
    folded = opened.page.locator("details.decision .reasons").first
    assert folded.evaluate("one => one.checkVisibility()")
    opened.page.emulate_media(media="screen")
    assert not folded.evaluate("one => one.checkVisibility()")


def test_an_attack_stays_text(browser, tmp_path):
    attack = """</title></style><script>document.title='owned'</script><img src=x onerror="document.title='owned'">"""
    page, file, said, asked = open_page(browser, tmp_path / "attack.html", html.page([report.Report(attack, ())]))
    assert page.title() == f"{attack}: plan"
    assert (page.locator("h1").inner_text(), said, asked) == (attack, [], [file.as_uri()])
    page.context.close()


def test_a_word_without_end_does_not_widen_the_page(browser, tmp_path):
    word, run = "w" * 300, compiled(READ[0])
    finding = report.Finding("warning", "D000", word, word, word, word, word)
    shown = replace(
        report.build(run, [Change(word, Kind.CREATED, "")], comparison.Comparison((comparison.Row(*[word] * 4),), (word,))),
        name=word, title=word, chosen=word, verdict=word, findings=(finding,), container=word, command=(word,),
        labels=((word, word),), would_change=(word,), assumptions=(word,), quotas=((word, word, 1, word),),
        options=(report.Option(word, word, word),), cost_notes=(word,),
    )  # fmt: skip
    page = open_page(browser, tmp_path / "long.html", html.page([shown])).page
    page.set_viewport_size({"width": 320, "height": 568})
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.context.close()


def test_several_workloads_make_one_page(browser, tmp_path):
    refused = report.Report("broken", (report.Finding("error", "D021", "w.yaml:1:1", "`task` is missing", "", "", ""),))
    document = html.page([reported(READ[0]), reported(READ[1]), refused])
    page, _, said, _ = open_page(browser, tmp_path / "several.html", document)
    assert page.locator("nav a").all_inner_texts() == ["support-chat", "legal-tune", "broken"]
    page.locator("nav a").last.click()
    assert page.get_by_text("Nothing was written").is_visible()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert said == []
    page.context.close()


def test_a_missing_browser_is_named_with_the_command_that_installs_it():
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium.find_program("/nowhere")
