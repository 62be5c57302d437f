"""Reports as one HTML page that needs nothing else: no network, no script, no font.

Takes `Report`s. Gives the page. Promises: the same reports give the same bytes; every text is quoted where it is printed, and
what does not print is spelt out.
"""

from collections.abc import Sequence
from functools import cache

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from infragen.emit import template_root
from infragen.render import graph
from infragen.render.diagnostics import visible
from infragen.render.report import Report

LABEL = 28  # letters that stand beside a value on a phone


def page(reports: Sequence[Report]) -> str:
    """The page: a section per workload, in the order given."""
    graphs = [graph.draw(one.resources) for one in reports]
    return _environment().get_template("page.html.j2").render(reports=reports, graphs=graphs, style=_style())


@cache
def _environment() -> Environment:
    source = (template_root() / "report" / "page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        loader=DictLoader({"page.html.j2": source}),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"prose": prose, "percent": percent, "cut": cut}
    return environment


@cache
def _style() -> Markup:
    return Markup((template_root() / "report" / "page.css").read_text(encoding="utf-8").strip())


def _finalize(value: object) -> object:
    """Text as people see it; markup has been through this already."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str) -> Markup:
    """A sentence in which backticks mark code.

    >>> print(prose("set `a<b` & go"))
    set <code>a&lt;b</code> &amp; go
    >>> print(prose("one ` alone"))
    one ` alone
    """
    parts = visible(text).split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    return Markup("").join(
        escape(part) if index % 2 == 0 else Markup("<code>{}</code>").format(part) for index, part in enumerate(parts)
    )


def percent(share: float) -> str:
    """A share of 1 as a length in SVG.

    >>> percent(0.33333), percent(1)
    ('33.33%', '100%')
    """
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def cut(text: str, letters: int = LABEL) -> str:
    """A label as far as there is room for it.

    >>> cut("accelerators", 6)
    'accel…'
    """
    return text if len(text) <= letters else text[: letters - 1] + "…"
