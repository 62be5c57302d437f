"""The schema checks against the whole schema, and the places where single values decide."""

from collections.abc import Iterator
from typing import Any

import pytest

from infragen.diagnostics import Diagnostics, Severity
from infragen.facts import provider_schema
from infragen.fileset import FileSet
from infragen.verify import circles, hcl, run, schema, values
from tests.clock import loops

DUMMIES = {
    "string": '"x"',
    "int": "1",
    "float": "1.5",
    "bool": "true",
    "list": '["x"]',
    "set": '["x"]',
    "map": '{ k = "x" }',
}


def body(arguments: dict[str, dict[str, Any]], depth: int) -> Iterator[str]:
    """All that can be set at one level, and below it."""
    for name, spec in arguments.items():
        if not (spec.get("optional") or spec.get("required")):
            continue
        if "block" in spec:
            if depth < 4:
                yield f"{name} {{\n" + "".join(body(spec["block"], depth + 1)) + "}\n"
        else:
            element = {"int": "[1]", "float": "[1]", "map": '[{ k = "x" }]'}.get(spec.get("elem", ""))
            yield f"{name} = {element if element and spec['type'] in ('list', 'set') else DUMMIES[spec['type']]}\n"


def whole(kind: provider_schema.Kind, name: str) -> str:
    entry = provider_schema.entry(kind, name)
    assert entry is not None
    block = "resource" if kind == "resource" else "data"
    return f'{block} "{name}" "main" {{\nprovider = google-beta\n' + "".join(body(entry["arguments"], 0)) + "}\n"


@pytest.mark.parametrize("kind", ["resource", "data_source"])
def test_every_entry_is_known_as_it_is_written(kind: provider_schema.Kind) -> None:
    """All arguments of an entry at once: each exists, is a block or an argument as said, and has its type."""
    names = provider_schema.names(kind)
    unexpected = {
        schema.UNKNOWN_TYPE.id,
        schema.UNKNOWN_ARGUMENT.id,
        schema.BLOCK_MIXED_UP.id,
        schema.NEEDS_BETA.id,
        schema.READ_ONLY.id,
        values.WRONG_TYPE.id,
    }
    for name in names:
        file, errors = hcl.parse("main.tf", whole(kind, name))
        assert not errors
        for found in schema.check(file, schema.providers([file])):
            assert found.code not in unexpected, f"{name}: {found.message}"


def test_an_empty_entry_lacks_what_it_requires() -> None:
    for name in provider_schema.names("resource"):
        entry = provider_schema.entry("resource", name)
        assert entry is not None
        required = [key for key, spec in entry["arguments"].items() if spec.get("required")]
        file, _ = hcl.parse("main.tf", f'resource "{name}" "main" {{\n  provider = google-beta\n}}\n')
        found = [one for one in schema.check(file, schema.providers([file])) if one.code == schema.MISSING.id]
        assert [key for key in required if not any(f"`{key}`" in one.message for one in found)] == []


def codes(text: str) -> list[str]:
    file, errors = hcl.parse("main.tf", text)
    assert not errors
    return [one.code for one in schema.check(file, schema.providers([file]))]


def template(argument: str, provider: str = "google") -> str:
    return (
        f'resource "google_compute_instance_template" "main" {{\n  provider = {provider}\n  machine_type = "x"\n'
        f'  disk {{\n    source_image = "i"\n  }}\n  {argument}\n}}\n'
    )


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ('can_ip_forward = "true"', None),
        ('can_ip_forward = "yes"', "V007"),
        ("can_ip_forward = 1", "V007"),
        ("can_ip_forward = null", None),
        ('can_ip_forward = "${var.x}"', None),
        ("can_ip_forward = var.x == 1", None),
        ("can_ip_forward = 1 + 1", "V007"),
        ("machine_type = 5", None),
        ("description = true", None),
        ("description = [1]", "V007"),
        ("description = { a = 1 }", "V007"),
        ("labels = { a = 1, b = true }", None),
        ("labels = { a = [1] }", "V007"),
        ("labels = { for k, v in var.m : k => v }", None),
        ("labels = [for v in var.m : v]", "V007"),
        ('tags = ["a", 1]', None),
        ('tags = [["a"]]', "V007"),
        ('tags = "a"', "V007"),
        ("tags = var.x ? [] : null", None),
        ('tags = var.x ? "a" : []', "V007"),
        ('scheduling { \n provisioning_model = "spot" \n}', "V017"),
        ('scheduling { \n provisioning_model = "FLEX_START" \n}', None),
        ("enable_display = true", "V015"),
    ],
)
def test_values_as_terraform_converts_them(argument: str, code: str | None) -> None:
    text = template(argument)
    if argument.startswith("machine_type"):
        text = text.replace('  machine_type = "x"\n', "")
    assert codes(text) == ([code] if code else [])


def test_google_beta_by_any_name() -> None:
    assert codes(template("enable_display = true", "google-beta")) == []
    assert codes(template("enable_display = true", "google-beta.other")) == []
    named = 'terraform {\n  required_providers {\n    edge = { source = "hashicorp/google-beta" }\n  }\n}\n'
    assert codes(named + template("enable_display = true", "edge")) == []
    assert codes(template("enable_display = true", "google.other")) == ["V015"]


def test_what_the_api_calls_unset_or_does_not_describe_is_a_warning() -> None:
    unset = 'resource "google_compute_disk" "m" {\n  name        = "m"\n  access_mode = "READ_ONLY_SINGLE"\n}\n'
    file, _ = hcl.parse("main.tf", unset)
    found = schema.check(file, schema.providers([file]))
    assert [(one.code, one.severity) for one in found] == [("V017", Severity.WARNING)]


def test_patterns_end_where_the_text_ends() -> None:
    pattern = values.re2("^[a-z$]+$")
    assert pattern.search("a$")
    assert not pattern.search("a\n")


def test_patterns_of_the_whole_schema_are_understood() -> None:
    def walk(arguments: dict[str, dict[str, Any]]) -> Iterator[str]:
        for spec in arguments.values():
            if "pattern" in spec:
                yield spec["pattern"]
            yield from walk(spec.get("block", {}))

    for name in provider_schema.names("resource"):
        entry = provider_schema.entry("resource", name)
        assert entry is not None
        for pattern in walk(entry["arguments"]):
            values.re2(pattern)
        for row in entry.get("api_enums", {}).values():
            if "pattern" in row:
                values.re2(row["pattern"])


def test_circles_are_told_once() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"d"}, "e": {"a"}}
    assert list(circles.find(graph)) == [("a", "b", "c"), ("d",)]
    assert list(circles.find({"a": {"b"}, "b": set()})) == []


def test_a_workload_is_judged_within_a_keystroke() -> None:
    """25 loops is the aim; the limit leaves room for a machine that is busy with other things."""
    one = template("").replace('"main"', '"r{0}"').replace("{\n", "{{\n").replace("}\n", "}}\n")
    files = {f"f{number}.tf": "".join(one.format(f"{number}_{part}") for part in range(6)) for number in range(12)}
    assert sum(text.count("\n") for text in files.values()) > 550
    numbers = iter(range(100))

    def judge() -> None:
        number = next(numbers)
        changed = {path: text + f"# {number}\n" for path, text in files.items()}  # so that nothing is remembered
        run(FileSet(changed), Diagnostics(), lambda _: False)

    assert loops(judge) < 100
