"""The JSON Schema agrees with the reader, and every pattern of the model has words."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infragen.descriptor import fields, load, tree
from infragen.descriptor.schema import json_schema, sections
from infragen.descriptor.source import File, Source
from infragen.descriptor.template import TASKS, starter
from infragen.diagnostics import Diagnostics

SILENT = Path(__file__).parent / "errors" / "silent"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def plain(content: str) -> Any:
    root = tree.read(tree.Text("w.yaml", content), Diagnostics())
    assert root is not None
    return tree.plain(root)


def walk(schema: object) -> Any:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from walk(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from walk(value)


def test_is_a_schema_and_the_same_every_time() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json.dumps(json_schema()) == json.dumps(json_schema())
    assert list(json_schema())[:4] == ["$schema", "$id", "title", "description"]


@pytest.mark.parametrize("path", sorted(SILENT.glob("*.yaml")), ids=lambda path: path.stem)
def test_accepts_what_the_reader_accepts(path: Path) -> None:
    if path.stem == "D022":  # a key with nothing behind it: read as left out, underlined by an editor
        assert [error.json_path for error in VALIDATOR.iter_errors(plain(path.read_text()))] == ["$.serve"]
    else:
        assert list(VALIDATOR.iter_errors(plain(path.read_text("utf-8-sig")))) == []


@pytest.mark.parametrize("task", TASKS)
def test_accepts_the_starters(task: str) -> None:
    assert list(VALIDATOR.iter_errors(plain(starter(task)))) == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("nmae: x", "$"),
        ("task: training", "$.task"),
        ("data: {size: 40}", "$.data.size"),
        ("data: {size: 40Tib}", "$.data.size"),
        ("labels: {Team: x}", "$.labels"),
        ("labels: {a: 4711}", "$.labels.a"),
        ("machine: {count: 0}", "$.machine.count"),
        ("machine: {accelerators: []}", "$.machine.accelerators"),
        ("security: {deletion_protection: 'no'}", "$.security.deletion_protection"),
        ("storage: [{service: filestore}]", "$.storage[0]"),
        ("storage: [{purpose: home, mount: x}]", "$.storage[0].mount"),
        ("version: 2", "$.version"),
    ],
)
def test_refuses_what_the_reader_refuses(line: str, path: str) -> None:
    base = yaml.safe_load("version: 1\nname: chat\ntask: compute\n")
    found = [error.json_path for error in VALIDATOR.iter_errors(base | plain(line))]
    assert path in found


def test_every_key_is_described_and_no_schema_speaks_of_null() -> None:
    schema = json_schema()
    for section in (schema, *schema["$defs"].values()):
        for key, field in section["properties"].items():
            assert field.get("description"), key
            assert "title" not in field
    assert not any(one.get("type") == "null" or None in one.values() for one in walk(schema))


def test_every_pattern_of_the_model_has_words_and_an_example_that_fits() -> None:
    patterns = {one["pattern"] for one in walk(json_schema()) if isinstance(one.get("pattern"), str)}
    patterns |= {pattern for one in walk(json_schema()) for pattern in one.get("patternProperties", ())}
    quantities = {
        one["pattern"] for one in walk(json_schema()) if one.get("examples", [""])[0] in ("40TiB", "30m", "2400MiB/s")
    }
    assert patterns - quantities == fields.FORMS.keys()
    for pattern, form in fields.FORMS.items():
        jsonschema.validate(form.example, {"type": "string", "pattern": pattern})


def test_quantities_in_the_schema_take_the_units_that_the_reader_takes() -> None:
    for size in ("1B", "40TiB", "0.5 MiB", "1e3GB"):
        document = {"version": 1, "name": "a", "task": "compute", "data": {"size": size}}
        VALIDATOR.validate(document)
        load(Source(File("w.yaml", json.dumps(document).encode())), Diagnostics())


def test_sections_are_those_of_the_model() -> None:
    assert sections()[""][:3] == ("version", "name", "task")
    assert {"serve.replicas", "group.update", "image.base", "storage"} <= sections().keys()
