"""Emit: from the Terraform blocks to the text of every file.

Takes a `Stack` and templates. Gives a `FileSet`. Promises: pure; the same stack gives the same bytes; every value enters
HCL through one quoting filter; a file that would hold nothing is not written; `=` is aligned once, here.
"""

import json
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from jinja2 import DictLoader, Environment, FileSystemBytecodeCache, StrictUndefined, TemplateError
from jinja2.bccache import Bucket

from infragen import inputs
from infragen.diagnostics import CompileError, Diagnostic, Diagnostics, Span, declare
from infragen.fileset import FileSet
from infragen.fmt import format as format_hcl
from infragen.lower.gce.boot import scripts
from infragen.lower.hcl import literal
from infragen.lower.model import Stack

Templates = Mapping[str, str]
"""Name below the templates folder -> text."""

MAX_BYTES = 2**20  # of one template
SUFFIX = ".j2"
FOLDERS = ("", "scripts/", "image/", "image/scripts/")  # of the templates
HCL = (".tf", ".tfvars", ".hcl")
FAULTY = declare(
    "E001",
    "faulty-template",
    """A template fits the records that it receives.

    Why: a template that names what does not exist would write half a file; a platform team's own is checked like all others.
    Example: `{{ compute.machin }}` in a template of `--templates` is an error with the template's line.
    """,
    source="https://jinja.palletsprojects.com/templates/",
)
UNUSED = declare(
    "E002",
    "unused-template",
    """Say which templates of a platform team nothing reads.

    Why: a template takes the place of the one of the same name; under any other name it would change nothing, in silence.
    Example: `mian.tf.j2` is a warning that suggests main.tf.j2; a folder without templates is one too.
    """,
    source="https://jinja.palletsprojects.com/templates/",
)
SECTIONS: Mapping[str, Callable[[Stack], Mapping[str, object]]] = {
    "versions.tf": lambda stack: {"settings": stack.settings},
    "providers.tf": lambda stack: {"settings": stack.settings},
    "variables.tf": lambda stack: {"variables": stack.variables},
    "terraform.tfvars": lambda stack: {"variables": stack.variables},
    "main.tf": lambda stack: {"compute": stack.compute},
    "network.tf": lambda stack: {"network": stack.network},
    "storage.tf": lambda stack: {"storage": stack.storage},
    "capacity.tf": lambda stack: {"capacity": stack.capacity},
    "image.tf": lambda stack: {"image": stack.image},
    "image/image.pkr.hcl": lambda stack: {"build": stack.build},
    "image/scripts/install.sh": lambda stack: {"build": stack.build},
    "image/scripts/clean.sh": lambda stack: {"build": stack.build},
    "serving.tf": lambda stack: {"serving": stack.serving},
    "monitoring.tf": lambda stack: {"monitoring": stack.monitoring},
    "dashboard.json": lambda stack: {"monitoring": stack.monitoring},
    "iam.tf": lambda stack: {"identity": stack.identity},
    "outputs.tf": lambda stack: {"outputs": stack.outputs},
    "README.md": lambda stack: {"name": stack.name, "guide": stack.guide},
}
"""Every file that a template of the same name writes, and the record that the template receives."""

_BLANK_LINES = re.compile(r"\n{3,}")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")


def load_templates(directory: Path | None = None, diags: Diagnostics | None = None) -> dict[str, str]:
    """The templates that ship with infragen, each replaced by the file of the same name below ``directory``, if there is one.

    One that cannot be read is reported to ``diags``, or raises OSError where there are none. Raises FileNotFoundError where
    ``directory`` is not a folder.
    """
    found = dict(_shipped())
    if directory is None:
        return found
    if not directory.is_dir():
        raise FileNotFoundError(f"no folder {directory}")
    own = []
    for path in sorted(directory.rglob(f"*{SUFFIX}")):
        name = path.relative_to(directory).as_posix()
        own.append(name)
        try:
            found[name] = inputs.text(path, MAX_BYTES)
        except OSError as error:
            if diags is None:
                raise
            help = "save it as a file of text in UTF-8, or remove it: infragen's own then takes its place"
            diags.add(FAULTY.error(f"`{path}` cannot be read: {inputs.why(error)}", help=help))
    if diags is not None:
        diags.extend(_unused(directory, found, own))
    return found


def _unused(directory: Path, found: Templates, own: Collection[str]) -> Iterator[Diagnostic]:
    """What of the folder nothing reads: names that infragen does not write, and that no template includes."""
    shipped = _shipped()
    if not own:
        help = f"name a folder with files like `main.tf{SUFFIX}`, or leave out `--templates`"
        yield UNUSED.warning(f"`{directory}` holds no templates", help=help)
    for name in own:
        if name in shipped or any(name in text for other, text in found.items() if other != name):
            continue
        import difflib  # noqa: PLC0415 - only where something is wrong

        near = difflib.get_close_matches(name, shipped, 1, 0.6)
        help = (
            f"did you mean `{near[0]}`?"
            if near
            else f"the templates are {', '.join(f'`{one}`' for one in sorted(shipped))}"
        )
        yield UNUSED.warning(f"nothing reads the template `{name}`", Span(str(directory / name), 1), help=help)


def template_root() -> Path:
    """The shipped templates: in the package once it is built, beside it in a checkout."""
    package = Path(__file__).parent
    packaged = package / "templates"
    return packaged if packaged.is_dir() else package.parent / "templates"


@cache
def _shipped() -> Templates:
    root = template_root()
    return {
        f"{folder}{path.name}": path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((root / folder).iterdir(), key=lambda one: one.name)
        if path.name.endswith(SUFFIX)
    }


def run(stack: Stack, templates: Templates, diags: Diagnostics) -> FileSet:
    """Every file of the stack. Raises CompileError after reporting a template that does not fit the records."""
    environment = _environment(tuple(templates.items()))
    sections = {path: record(stack) for path, record in SECTIONS.items()}
    sections |= {f"scripts/{script}": {"boot": stack.boot} for script in scripts(stack.boot)}
    texts = {path: _render(environment, path, record, diags) for path, record in sections.items()}
    if diags.has_errors:
        raise CompileError
    return FileSet({path: text for path, text in texts.items() if text.strip()} | _copied(stack))


def _copied(stack: Stack) -> dict[str, str]:
    """Files of the user's that go into the image, as they are."""
    build = stack.build
    if build is None:
        return {}
    found = {f"image/scripts/{name}": text for name, text in build.scripts}
    return found | ({"image/requirements.txt": build.requirements} if build.requirements else {})


@cache
def _environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    """Jinja with strict names, and one filter per language that quotes. Compiled templates stay in it."""
    environment = Environment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_bytecode() if dict(templates) == _shipped() else None,
        optimized=False,  # folding constants costs more than it saves: a process renders each template a few times
    )
    environment.filters["hcl"] = literal
    environment.filters["json"] = partial(json.dumps, indent=2, ensure_ascii=False)
    environment.filters["markdown"] = markdown
    environment.filters["shell"] = shlex.quote
    return environment


class _Bytecode(FileSystemBytecodeCache):
    """Compiled templates beside their sources, as Python keeps its own; where that folder is read-only, none."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


def _bytecode() -> _Bytecode:
    return _Bytecode(str(template_root() / "__pycache__"), f"%s.{sys.implementation.cache_tag}")


def _render(environment: Environment, path: str, record: Mapping[str, object], diags: Diagnostics) -> str:
    if any(part is None for part in record.values()):
        return ""
    try:
        text = environment.get_template(path + SUFFIX).render(record)
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        diags.add(_fault(path + SUFFIX, error))
        return ""
    text = _BLANK_LINES.sub("\n\n", text).strip("\n") + "\n"
    return format_hcl(text) if path.endswith(HCL) else text


def _fault(template: str, error: Exception) -> Diagnostic:
    """What a template does wrong, at its line as far as that is known."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None) or 1
    place = Span(f"templates/{template}", line)
    return FAULTY.error(
        str(error) or type(error).__name__, place, help="compare it with the template that infragen ships"
    )


def markdown(text: str) -> str:
    r"""``text`` as words of a Markdown paragraph: on one line, and nothing in it is markup.

    >>> print(markdown("a|b *c*\n# d"))
    a\|b \*c\* \# d
    """
    line = text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
    return _MARKDOWN.sub(r"\\\1", line)
