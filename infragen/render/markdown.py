"""Reports as GitHub-flavoured Markdown, for a comment on a pull request.

Takes `Report`s. Gives the text. Promises: the same reports give the same text, at most as long as a comment may be where
that can be had by leaving the folded parts out; a marker that stays the same names each workload, so that a bot finds its
comment again; no text of a descriptor becomes markup, a link, a mention or a cell of its own.
"""

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from infragen.emit import template_root
from infragen.render.diagnostics import visible
from infragen.render.report import Report

LONGEST = 65_536  # letters of a comment on GitHub
_SPECIAL = re.compile(
    r"""[&<>|`*\[\]~\\#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.|^[-+=]|(?<=^\d)[.)](?=\s|$)|(?<=^\d\d)[.)](?=\s|$)"""
)
_BLANK_LINES = re.compile(r"\n{3,}")


def comment(reports: Sequence[Report]) -> str:
    """The comment: a section per workload, in the order given."""
    text = _render(reports, is_short=False)
    return text if len(text) <= LONGEST else _render(reports, is_short=True)


def _render(reports: Sequence[Report], is_short: bool) -> str:
    marks = [Markup(mark(one.name)) for one in reports]
    text = _environment().get_template("comment.md.j2").render(reports=reports, marks=marks, is_short=is_short)
    return _BLANK_LINES.sub("\n\n", text).strip("\n") + "\n"


@cache
def _environment() -> Environment:
    source = (template_root() / "report" / "comment.md.j2").read_text(encoding="utf-8")
    environment = Environment(
        loader=DictLoader({"comment.md.j2": source}),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"prose": prose, "code": code}
    return environment


def _finalize(value: object) -> object:
    return words(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def words(text: str) -> Markup:
    r"""Text in which nothing is markup, on one line. Entities are the one way to quote that holds in tables and in HTML alike.

    >>> print(words("a|b *c* <d> @e x_y"))
    a&#124;b &#42;c&#42; &#60;d&#62; @&#8203;e x_y
    """
    return Markup(_quoted(text).replace("@", "@&#8203;"))


def code(text: str) -> Markup:
    """Text between tags of code, where nobody is mentioned."""
    return Markup(_quoted(text))


def _quoted(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", " ".join(visible(text).split()))


def prose(text: str) -> Markup:
    """A sentence in which backticks mark code.

    >>> print(prose("set `a|b`"))
    set <code>a&#124;b</code>
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    found = []
    for index, part in enumerate(parts):
        lead, trail = (" " if part[:1] == " " else ""), (" " if part[-1:] == " " and part.strip() else "")
        found.append(Markup("<code>{}</code>").format(code(part)) if index % 2 else lead + words(part) + trail)
    return Markup("").join(found)


def mark(name: str) -> str:
    """The text of the marker of a workload: what a bot looks for.

    >>> mark("support-chat"), mark("a--> <b>")
    ('infragen:support-chat', 'infragen:a-%2D%3E%20%3Cb%3E')
    """
    letters = re.sub(
        r"[^A-Za-z0-9._-]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace")), name
    )
    return "infragen:" + letters.replace("--", "-%2D")
