"""Descriptor text to `Workload`.

Takes a `Source`: bytes in memory. Gives a frozen, checked `Workload` that knows where each value was written. Promises
all errors of a step in one run, one for each mistake: first the texts, then the fields, then fields against each other.
"""

import json
import re

from pydantic import ValidationError

from infragen.descriptor import (
    checks,
    fleet,  # noqa: F401  (enters its checks)
    mistakes,
    rules,
    tree,
)
from infragen.descriptor.model import Workload
from infragen.descriptor.rules import Says
from infragen.descriptor.source import MAX_BYTES, File, Source
from infragen.diagnostics import CompileError, Diagnostics, Span

SETTING_FILE = "--set"  # the "file" that a setting's value is said to come from
_SETTING = re.compile(r"([^=\s]+)=(.*)", re.DOTALL)


def load(source: Source, diags: Diagnostics) -> Workload:
    """The workload that ``source`` describes. Raises CompileError after reporting all that is wrong with it."""
    root = _merged(source, diags)
    workload = _validated(root, diags)
    diags.extend(checks.run(workload))
    diags.raise_if_errors()
    _read_config(workload, source, diags)
    _read_image_files(workload, source, diags)
    diags.raise_if_errors()
    return workload


def _merged(source: Source, diags: Diagnostics) -> tree.Mapping:
    """One tree of all texts. An overlay that cannot be read does not keep the descriptor's errors from being told."""
    root = _document(source.descriptor, diags, is_overlay=False)
    overlays = [_document(overlay, diags, is_overlay=True) for overlay in source.overlays]
    diags.raise_if_errors()
    assert root is not None
    for overlay in filter(None, overlays):
        root = tree.merge(root, overlay)
    for setting in source.settings:
        root = _with_setting(root, setting, diags)
    diags.raise_if_errors()
    return root


def _validated(root: tree.Mapping, diags: Diagnostics) -> Workload:
    try:
        workload = Workload.model_validate(tree.plain(root))
    except ValidationError as error:
        diags.extend(mistakes.diagnose(error, root))
        raise CompileError from None
    workload._where = lambda path: tree.where(root, tuple(path.split(".")))
    return workload


def _read_config(workload: Workload, source: Source, diags: Diagnostics) -> None:
    """Puts the content of the model's ``config.json`` beside the workload, or reports why it cannot be used."""
    name = workload.model.config if workload.model else None
    if name is None:
        return
    problem = ""
    try:
        content = source.beside(name)
        found = json.loads(content.decode()) if len(content) <= MAX_BYTES else None
        if isinstance(found, dict):
            workload._shape = found
            return
        problem = "is larger than 1 MiB" if found is None else "is not a JSON object"
    except FileNotFoundError:
        problem = "does not exist"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        problem = "is not JSON"
    place = workload.at("model.config") or Span(source.descriptor.name, 1)
    diags.add(rules.unusable_config(place, name, problem))


def _read_image_files(workload: Workload, source: Source, diags: Diagnostics) -> None:
    """Puts the text of the files that go into an image beside the workload, or reports why one cannot be used."""
    scripts = workload.image.scripts or []
    named = [(f"image.scripts.{index}", name, True) for index, name in enumerate(scripts)]
    if workload.image.python is not None:
        named.append(("image.python", workload.image.python, False))
    for path, name, is_script in named:
        text, problem = "", ""
        try:
            content = source.beside(name)
            text = content.decode()
            problem = "is larger than 1 MiB" if len(content) > MAX_BYTES else _unfit(text, is_script=is_script)
        except FileNotFoundError:
            problem = "does not exist"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        except ValueError:
            problem = "is not text in UTF-8"
        if problem:
            diags.add(rules.unusable_image_file(workload.at(path), name, problem))
        workload._files[name] = text if text.endswith("\n") else f"{text}\n"


def _unfit(text: str, *, is_script: bool) -> str:
    """What keeps a text from being run, or read, on the machine that the image is built on."""
    if "\0" in text:
        return "holds a NUL byte"
    if "\r" in text:
        return "has line breaks of Windows, which no shell reads"
    if not text.strip():
        return "is empty"
    return "" if text.startswith("#!") or not is_script else "does not say what runs it"


def _document(file: File, diags: Diagnostics, is_overlay: bool) -> tree.Mapping | None:
    """The file's tree; None with a reported error, or for an overlay without content."""
    content = _decoded(file, diags)
    if content is None:
        return None
    text, found = tree.Text(file.name, content), Diagnostics()
    root = tree.read(text, found)
    diags.extend(found)
    if found.has_errors:
        return None
    if root is None or (isinstance(root, tree.Scalar) and root.value is None):
        empty = rules.empty_overlay if is_overlay else rules.empty_descriptor
        diags.add(empty(text.span(0), file.name))
        return None
    if is_overlay and isinstance(root, tree.Mapping) and not root.entries:
        diags.add(rules.empty_overlay(root.span, file.name))
        return None
    if not isinstance(root, tree.Mapping):
        kind = "a list" if isinstance(root, tree.Sequence) else "a single value"
        diags.add(rules.not_a_mapping(root.span, file.name, kind))
        return None
    return root


def _decoded(file: File, diags: Diagnostics) -> str | None:
    """The file's characters without a byte order mark, or None with a reported error."""
    if len(file.content) > MAX_BYTES:
        diags.add(rules.oversized_file(Span(file.name, 1), file.name, MAX_BYTES))
        return None
    if file.content.startswith((b"\xff\xfe", b"\xfe\xff")):
        diags.add(rules.not_text(Span(file.name, 1), file.name, "this is UTF-16", is_text=True))
        return None
    end = file.content.find(b"\0")
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        end = min(end, error.start) if end >= 0 else error.start
    if end < 0:
        return text
    is_nul = file.content[end] == 0
    what = "a NUL byte" if is_nul else f"the byte 0x{file.content[end]:02x} begins no character"
    before = file.content[:end].decode("utf-8-sig", errors="replace")
    span = tree.Text(file.name, before + "\N{REPLACEMENT CHARACTER}").span(len(before))
    diags.add(rules.not_text(span, file.name, what, is_text=not is_nul))
    return None


def _with_setting(root: tree.Mapping, setting: str, diags: Diagnostics) -> tree.Mapping:
    """``root`` with one ``key=value`` over it; ``root`` itself with a reported error."""
    match = _SETTING.fullmatch(setting)
    key_length = len(match[1]) if match else 0
    text = tree.Text(SETTING_FILE, setting, skip=key_length + 1)
    keys = match[1].split(".") if match else []
    if match is None or not all(keys):
        says = Says(
            f"`--set {setting}` is not a setting", "wanted `key=value`", "for example `--set serve.ttft_ms=800`"
        )
        diags.add(rules.invalid_setting(text.span(0, len(setting)), says))
        return root
    found = Diagnostics()
    value = tree.read(text, found)
    diags.extend(found)
    if found.has_errors:
        return root
    key = text.span(0, key_length)
    value = value or tree.Scalar(None, "", key)
    try:
        changed = _replaced(root, keys, value, key)
    except _SettingError as error:
        diags.add(rules.invalid_setting(key, error.says))
        return root
    assert isinstance(changed, tree.Mapping)  # a mapping with a key replaced is a mapping
    return changed


class _SettingError(Exception):
    """Why a setting fits nowhere; the argument is what to say."""

    def __init__(self, says: Says) -> None:
        super().__init__(says.message)
        self.says = says


def _replaced(node: tree.Node | None, keys: list[str], value: tree.Node, key: Span) -> tree.Node:
    """``node`` with ``value`` under the dotted ``keys``; sections are made where there are none."""
    if not keys:
        return value
    if isinstance(node, tree.Sequence):
        return _replaced_item(node, keys, value, key)
    if isinstance(node, tree.Scalar) and node.value is not None:
        says = Says(f"`{keys[0]}` cannot be set inside a single value", "not a section", "set the value itself")
        raise _SettingError(says)
    entries, span = (node.entries, node.span) if isinstance(node, tree.Mapping) else ({}, key)
    under, rest = entries.get(keys[0]), keys[1:]
    inner = _replaced(under.node if under else None, rest, value, key)
    entry = tree.Entry(under.key if under and rest else key, inner)
    return tree.Mapping({**entries, keys[0]: entry}, span, nodes=1 + inner.nodes, depth=1 + inner.depth)


def _replaced_item(node: tree.Sequence, keys: list[str], value: tree.Node, key: Span) -> tree.Sequence:
    if not keys[0].isdecimal() or int(keys[0][:9]) >= len(node.items):
        last = len(node.items) - 1
        help = f"give an index from 0 to {last}, or the whole list: `key=[...]`" if last >= 0 else "give the whole list"
        raise _SettingError(Says(f"`{keys[0]}` is not an entry of the list", "no such entry", help))
    at = int(keys[0])
    items = (*node.items[:at], _replaced(node.items[at], keys[1:], value, key), *node.items[at + 1 :])
    return tree.Sequence(items, node.span, node.nodes, node.depth)
