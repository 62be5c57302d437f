"""Descriptors of a hostile yet reasonable user: fields of the schema, filled with what is odd, huge, tiny or contradictory."""

import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema

from infragen.descriptor.schema import json_schema
from tests.examples import CATALOG

TASKS = {
    "serve": {"model": {"name": "Llama-3.1-8B"}},
    "batch-inference": {"model": {"name": "Llama-3.1-8B"}},
    "pretrain": {"model": {"name": "Llama-3.1-8B"}, "train": {"tokens": 1e9}},
    "finetune": {"model": {"name": "Llama-3.1-8B"}, "train": {"tokens": 1e7}},
    "data-prep": {"data": {"size": "1TiB"}},
    "compute": {"machine": {"type": "c3-standard-22"}},
}
SECTIONS = {
    "serve": {"model", "serve"},
    "batch-inference": {"model", "serve"},
    "pretrain": {"model", "train"},
    "finetune": {"model", "train"},
    "data-prep": {"data"},
    "compute": {"machine"},
}
NUMBERS = (0, -1, 1, 2, 3, 7, 64, 1000, 65536, 1e6, 1e9, 1e12, 9e17, 1e18, 1e19, 0.5, 1e-9, ".nan", ".inf", "1e999")
SIZES = ("1B", "1KiB", "1GiB", "100GiB", "10TiB", "100PiB", "900000PiB", "1e17PiB", "1e999PiB", "0GiB", "-1GiB")
TIMES = ("1ms", "1s", "1m", "1h", "30d", "5000w", "1e17w", "0s", "-1h", "1e999d")
RATES = ("1MiB/s", "2400MiB/s", "100TiB/s", "1e17TiB/s", "0MiB/s")
NAMES = ("", "x", "europe-west4", "europe-west4-a", "us-central1", "eu", "h100", "L4", "g2-standard-24", "a3-highgpu-8g",
         "n2-standard-8", "ct5lp-hightpu-4t", "2x4", "zonal", "ünï", "a" * 70, "🦙", "no", "1e3", "2027-01-11T08:00:00Z",
         "gs://my-bucket/data", "10.0.0.0/8", "/data", "setup.sh", "a@b.de", "torch==2.5", "google_compute_disk.main",
         "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k", "300.1.1.1/40", "*", "../x", "latest", 125)  # fmt: skip


@cache
def _schema() -> dict[str, Any]:
    return json_schema()


def odd(seed: int) -> tuple[str, tuple[str, ...]]:
    """A descriptor and settings that follow from the seed."""
    draw = random.Random(seed)
    task = draw.choice(sorted(TASKS))
    found = {"version": 1, "name": "odd", "project": "my-project", "task": task} | json.loads(json.dumps(TASKS[task]))
    for _ in range(draw.choice((1, 1, 2, 2, 3))):
        _fill(found, _schema(), draw, 0)
    settings = [f"{draw.choice(['place.zones', 'serve.ttft_ms', 'machine.count', 'name', 'x.y'])}={draw.choice(NAMES)}"]
    return json.dumps(found, ensure_ascii=False), tuple(settings if draw.random() < 0.1 else ())


def _fill(found: dict[str, Any], schema: dict[str, Any], draw: random.Random, depth: int) -> None:
    """Set one more field."""
    known = [name for name in schema["properties"] if depth or name not in ("version", "name", "task", "project")]
    if depth == 0:
        strange = {"serve", "train", "model"} - SECTIONS[found["task"]] if draw.random() < 29 / 30 else set()
        known = [
            one
            for one in [*known, *["machine", "storage", "capacity", "place", *sorted(SECTIONS[found["task"]])] * 3]
            if one not in strange
        ]
    name = draw.choice(known)
    found[name] = _value(schema["properties"][name], found.get(name), draw, depth)


def _value(schema: dict[str, Any], present: Any, draw: random.Random, depth: int) -> Any:
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        inner = dict(present) if isinstance(present, dict) else {}
        for name in schema.get("required", ()):
            inner.setdefault(name, _value(schema["properties"][name], None, draw, depth + 1))
        for _ in range(draw.randint(1, 3)):
            _fill(inner, schema, draw, depth + 1)
        return inner
    if "anyOf" in schema:
        return _value(draw.choice(schema["anyOf"]), present, draw, depth)
    if "enum" in schema:
        return draw.choice(schema["enum"])
    if schema.get("type") == "array":
        return [_value(schema.get("items", {}), None, draw, depth + 1) for _ in range(draw.choice((0, 1, 1, 1, 2)))]
    if schema.get("type") in ("integer", "number"):
        near = [schema[key] for key in ("minimum", "maximum") if key in schema]
        return draw.choice(_fitting([_whole(one) for one in (*NUMBERS, *near)], schema, draw))
    if schema.get("type") == "boolean":
        return draw.choice((True, False))
    if schema.get("type") == "object":
        return {draw.choice(("a", "A", "team")): draw.choice(NAMES)}
    return draw.choice(_fitting(_texts(schema), schema, draw))


def _fitting(values: Sequence[Any], schema: dict[str, Any], draw: random.Random) -> list[Any]:
    """Those that the schema takes; one time in thirty, and where there are none, all of them."""
    validator = jsonschema.Draft202012Validator({key: one for key, one in schema.items() if key != "$ref"})
    fitting = [value for value in values if validator.is_valid(value)]
    return fitting if fitting and draw.random() < 29 / 30 else list(values)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value == value // 1 else value


def _texts(schema: dict[str, Any]) -> tuple[Any, ...]:
    """Texts that come near to what the field takes."""
    pattern = schema.get("pattern", "")
    for unit, texts in (("MiB/s", RATES), ("GiB", SIZES), ("|h|d|", TIMES)):
        if unit in pattern:
            return texts
    names = (*NAMES, *list(CATALOG.machines)[:5], *list(CATALOG.models)[:3], *list(CATALOG.accelerators)[:3])
    if "topology" in schema.get("description", ""):
        return ("1x1", "2x4", "4x4x4", "999x999", "0x0")
    return tuple(dict.fromkeys((*schema.get("examples", ()), *names)))
