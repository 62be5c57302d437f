"""What can be wrong with a descriptor as a file and as YAML, before any field is looked at.

One function per rule: its docstring documents the rule, its result is what this case of it says. What can be wrong with
a field stands in ``mistakes``, what with fields against each other in ``checks``.
"""

import difflib
import unicodedata
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec

from msgspec import Struct

from infragen.diagnostics import Diagnostic, Severity, Span, declare

YAML = "https://yaml.org/spec/1.2.2/"
FORMAT = "infragen descriptor format, version 1"
P = ParamSpec("P")


class Says(Struct, frozen=True):
    """The words of one finding, without its place."""

    message: str
    label: str = ""
    help: str = ""


def objection(
    id: str, name: str, source: str, severity: Severity = Severity.ERROR
) -> Callable[[Callable[P, Says]], Callable[Concatenate[Span | None, P], Diagnostic]]:
    """Enter a rule whose text is a function's docstring; the function then takes a place and gives a diagnostic."""

    def enter(function: Callable[P, Says]) -> Callable[Concatenate[Span | None, P], Diagnostic]:
        rule = declare(id, name, function.__doc__ or "", source)

        @wraps(function)
        def diagnose(span: Span | None, /, *args: P.args, **kwargs: P.kwargs) -> Diagnostic:
            says = function(*args, **kwargs)
            return Diagnostic(id, severity, says.message, span, says.label, rule.short_why, says.help)

        return diagnose

    return enter


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that ``word`` was probably meant to be, at least as like as ``likeness`` (1: equal).

    >>> nearest("ttft-ms", ["ttft_ms", "tpot_ms"]), nearest("colour", ["name", "task"])
    ('ttft_ms', None)
    """
    spelling = {other.lower().replace("-", "_"): other for other in known}
    found = difflib.get_close_matches(word[:100].lower().replace("-", "_"), spelling, n=1, cutoff=likeness)
    return spelling[found[0]] if found else None


@objection("D001", "unreadable-file", "https://docs.python.org/3/library/exceptions.html#os-exceptions")
def unreadable_file(file: str, problem: str, beside: Iterable[str] = ()) -> Says:
    """A file that is named on the command line can be opened.

    Why: nothing can be compiled from a file that is missing, is a directory or a device, or may not be read.
    Example: `infragen plan workload.yml` where only `workload.yaml` exists.
    """
    near = nearest(file.rpartition("/")[2], beside)
    help = f"did you mean `{near}`?" if near else "name a YAML file; `infragen init` writes one to start from"
    return Says(f"`{file}` {problem}", help=help)


@objection("D002", "oversized-file", "infragen's own limit")
def oversized_file(file: str, limit_bytes: int) -> Says:
    """A descriptor is at most 1 MiB.

    Why: a descriptor has 10 to 25 lines; a file of another order of magnitude is another file.
    Example: a model checkpoint of 50 MB, named by accident.
    """
    return Says(f"`{file}` is larger than {limit_bytes // 2**20} MiB", help="name the file that holds the descriptor")


@objection("D003", "not-text", YAML + "#52-character-encodings")
def not_text(file: str, problem: str, is_text: bool) -> Says:
    """A descriptor is text in UTF-8, without NUL bytes.

    Why: bytes that are not text would have to be guessed.
    Example: a file that an editor saved as UTF-16.
    """
    help = "save it as UTF-8" if is_text else "name the file that holds the descriptor"
    return Says(f"`{file}` is not text in UTF-8", problem, help)


@objection("D004", "empty-descriptor", FORMAT)
def empty_descriptor(file: str) -> Says:
    """A descriptor says something.

    Why: `version`, `name` and `task` cannot be guessed; an empty file is usually a save that failed.
    Example: a file that holds comments only.
    """
    help = "start with `version: 1`, `name: ...` and `task: ...`, or with the file that `infragen init` writes"
    return Says(f"`{file}` is empty", help=help)


@objection("D005", "invalid-yaml", YAML)
def invalid_yaml(says: Says) -> Says:
    """A descriptor parses as YAML.

    Why: a text that can be read in several ways, or in none, has no meaning.
    Example: `name: "chat` without the second quotation mark; a line that is indented with a tab.
    """
    return says


@objection("D006", "invalid-character", YAML + "#51-character-set")
def invalid_character(character: str) -> Says:
    """A descriptor holds printable characters only.

    Why: control characters cannot be seen in a review, and Terraform, shells and clouds treat them differently.
    Example: an escape character that was copied out of a terminal; the escape `"\\0"` in a quoted text.
    """
    name = unicodedata.name(character, "control character").lower()
    return Says(f"the character U+{ord(character):04X} is not allowed", name, "remove it")


@objection("D007", "yaml-tag", YAML + "#24-tags")
def yaml_tag(tag: str) -> Says:
    """Values carry no YAML tags.

    Why: the descriptor's own format says what type a field has; a tag could only repeat or contradict it.
    Example: `name: !!str chat`, `project: !secret id`.
    """
    short = tag.replace("tag:yaml.org,2002:", "!!")
    help = "remove the tag; quotation marks make a value text"
    return Says(f"the tag `{short}` is not allowed", "this value carries a tag", help)


@objection("D008", "exploding-alias", YAML + "#71-alias-nodes")
def exploding_alias(says: Says) -> Says:
    """Aliases name an anchor above them and stay small when they are expanded.

    Why: a few lines of nested aliases stand for billions of values, and an alias to itself for endlessly many.
    Example: nine lists, each of ten aliases to the list before.
    """
    return says


@objection("D009", "merge-key", "https://yaml.org/type/merge.html")
def merge_key() -> Says:
    """The merge key `<<` is not used.

    Why: it is no part of YAML 1.2, and readers disagree on what it does; `--env` files merge in a defined way.
    Example: `<<: *defaults`.
    """
    help = "write the keys out, or keep them in a file of their own for `--env`"
    return Says("the merge key `<<` is not supported", "not a part of YAML 1.2", help)


@objection("D010", "duplicate-key", YAML + "#3213-node-comparison")
def duplicate_key(key: str, first_line: int) -> Says:
    """A key stands once in its section.

    Why: of two values under one key, one would be dropped silently.
    Example: `task: serve` on line 3 and `task: finetune` on line 20.
    """
    return Says(f"`{key}` is written twice", f"first written on line {first_line}", f"remove one `{key}`")


@objection("D011", "several-documents", YAML + "#92-streams")
def several_documents() -> Says:
    """A file holds one descriptor.

    Why: one descriptor is one stack with one state; several of them belong into several files.
    Example: a second `---` in the middle of the file.
    """
    help = "keep one descriptor per file; `infragen plan` takes several files"
    return Says("the file holds more than one document", "a second document begins", help)


@objection("D012", "not-a-mapping", FORMAT)
def not_a_mapping(file: str, found: str) -> Says:
    """A descriptor is a set of keys with values.

    Why: a list or a single text has no place for `version`, `name` and `task`.
    Example: a file whose first line is `- version: 1`.
    """
    return Says(f"`{file}` holds no keys", f"this is {found}", "begin each line with a key, like `version: 1`")


@objection("D013", "key-not-text", YAML + "#32-information-models")
def key_not_text(key: str | None) -> Says:
    """Keys are text.

    Why: every field, label and environment variable has a name; a number or a list as key is none.
    Example: `labels: {2027: budget}`, where `"2027"` in quotation marks would be text.
    """
    if not key:
        return Says("a key is not text", "a key here must be text", "write `key: value`")
    help = f'put it in quotation marks: `"{key}"`'
    return Says(f"the key `{key}` is not text", "read as a value, not as a name", help)


@objection("D014", "oversized-structure", "infragen's own limit")
def oversized_structure(label: str) -> Says:
    """A descriptor is at most 20 levels deep and holds at most 3,000 keys and values.

    Why: the format has five levels; more of them, or thousands of values, are not a description of a workload.
    Example: a list in a list in a list, a thousand times.
    """
    return Says("the file is too large for a descriptor", label, "name the file that holds the descriptor")


@objection("D015", "invalid-setting", FORMAT)
def invalid_setting(says: Says) -> Says:
    """A `--set` names a key by a dotted path and gives its value.

    Why: a setting that fits nowhere would be dropped silently.
    Example: `--set serve.ttft_ms` without a value; `--set storage.3.iops=9000` with two stores.
    """
    return says


@objection("D016", "empty-overlay", FORMAT, Severity.WARNING)
def empty_overlay(file: str) -> Says:
    """An `--env` file changes something.

    Why: an overlay without content has no effect, and is often a save that failed.
    Example: `prod.yaml` with comments only, or with `{}`.
    """
    return Says(f"`{file}` is empty", help=f"leave out `--env {file}`, or fill it")


@objection("D017", "unusable-config", "https://huggingface.co/docs/transformers/main_classes/configuration")
def unusable_config(file: str, problem: str) -> Says:
    """A `config.json` that the descriptor names can be read, and is a JSON object of at most 1 MiB.

    Why: the shape of the model comes from it; nothing can be sized without.
    Example: `model: {config: ./config.json}` where the file lies elsewhere; the path counts from the descriptor.
    """
    return Says(
        f"`{file}` {problem}", help="the path is relative to the descriptor; name the `config.json` of the model"
    )


@objection("D018", "unusable-image-file", "https://developer.hashicorp.com/packer/docs/provisioners/shell")
def unusable_image_file(file: str, problem: str) -> Says:
    """A script or requirements file for an image can be read, is text with line feeds, and a script says what runs it.

    Why: it is copied into the output and run on the machine that the image is built on; a file that cannot run there fails
    after minutes of building.
    Example: `scripts: [setup.sh]` where the file lies elsewhere; a script whose first line is not `#!/bin/bash`.
    """
    help = "the path is relative to the descriptor; a script begins with a line like `#!/bin/bash`"
    return Says(f"`{file}` {problem}", help=help)
