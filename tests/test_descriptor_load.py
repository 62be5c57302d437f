"""What a descriptor means, where its values come from, and that nothing a user writes breaks the reader."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infragen.descriptor import load, tree
from infragen.descriptor.model import Workload
from infragen.descriptor.schema import sections
from infragen.descriptor.source import File, Source
from infragen.diagnostics import CompileError, Diagnostics, Severity
from infragen.render.diagnostics import record, text
from infragen.units import DAY_S, KIB, TIB
from tests.clock import loops

EXAMPLE = """\
version: 1
name: support-chat
project: my-project
labels: {team: support, cost-center: "4711"}
task: pretrain
model:
  name: meta-llama/Llama-3.1-70B-Instruct
  precision: fp8
train:
  method: full
  tokens: 200e9
  sequence_length: 8192
  global_batch_tokens: 4e6
  deadline: 21d
  checkpoint: {every: 30m, keep: 3}
data: {size: 40TiB, file_size: 256KiB, source: gs://bucket/prefix, posix: full, access: read-mostly}
machine: {type: some-type-8g, count: 4}
storage:
  - {purpose: weights, capacity: 1TiB, throughput: 2400MiB/s, mount: /models}
capacity: {model: future-reservation, name: q1-block, start: 2027-01-11T08:00:00Z, duration: 30d, submit: false}
place: {regions: [europe-west4], zones: [], residency: eu, optimise: cost}
group:
  update: {type: proactive, max_surge: 1, max_unavailable: 0, replacement: substitute}
  heal: {initial_delay: 10m}
network: {create: true, range: 10.20.0.0/16, nat: true}
run: {container: image, command: [serve, --port], env: {A: "1"}, port: 8000, health: /health}
limits: {usd_per_hour: 120, usd_total: 50000, kg_co2e: 2000}
"""


def loaded(descriptor: str, *sets: str, env: tuple[str, ...] = ()) -> Workload:
    found = Diagnostics()
    overlays = tuple(File(f"env{number}.yaml", one.encode()) for number, one in enumerate(env))
    try:
        return load(Source(File("w.yaml", descriptor.encode()), overlays, sets), found)
    except CompileError:
        pytest.fail("\n".join(text(one) for one in found))


def place(workload: Workload, path: str) -> tuple[str, int, int, int]:
    span = workload.at(path)
    assert span is not None
    return span.file, span.line, span.column, span.length


def test_values_and_units() -> None:
    w = loaded(EXAMPLE)
    assert w.train and w.train.checkpoint and w.data
    assert (w.train.deadline, w.train.checkpoint.every, w.train.tokens) == (21 * DAY_S, 1800, 200e9)
    assert (w.data.size, w.data.file_size) == (40 * TIB, 256 * KIB)
    assert w.capacity.start == datetime(2027, 1, 11, 8, tzinfo=UTC)
    assert w.labels == {"team": "support", "cost-center": "4711"}


def test_yaml_1_2_core_rules() -> None:
    w = loaded(
        "version: 1\nname: on\ntask: compute\nlabels: {no: off, y: yes, a: 12_3}\n"
        "machine: {count: 08, min_vcpus: 0x10, accelerators_per_node: 0o10}\nplace: {residency: no}\n"
        "run: {command: [1:30, 2027-01-11, 1_000, 0b1, .5.], port: 8e3}\n"
    )
    assert (w.name, w.place.residency) == ("on", "no")
    assert w.labels == {"no": "off", "y": "yes", "a": "12_3"}
    assert (w.machine.count, w.machine.min_vcpus, w.machine.accelerators_per_node) == (8, 16, 8)
    assert w.run and w.run.command == ["1:30", "2027-01-11", "1_000", "0b1", ".5."]
    assert w.run.port == 8000 and isinstance(w.run.port, int)


def test_a_key_with_nothing_behind_it_is_left_out() -> None:
    w = loaded("version: 1\nname: a\ntask: compute\nplace:\nstorage: ~\ntrain: null\ndata: {posix: }\n")
    assert (w.place.optimise, w.storage, w.train) == ("cost", [], None)
    assert w.data and w.data.posix == "basic"


def test_strings_keep_control_characters_for_later_stages_to_quote() -> None:
    w = loaded('version: 1\nname: a\ntask: compute\nrun: {command: [a], env: {A: "x\\n${y}\\t\\e"}}\n')
    assert w.run and w.run.env == {"A": "x\n${y}\t\x1b"}


def test_places_of_values_and_of_what_was_not_written() -> None:
    w = loaded(EXAMPLE)
    assert place(w, "train.deadline") == ("w.yaml", 14, 13, 3)
    assert place(w, "storage.0.mount") == ("w.yaml", 19, 70, 7)
    assert place(w, "storage.0") == ("w.yaml", 19, 5, 73)
    assert place(w, "group.heal.initial_delay") == ("w.yaml", 24, 25, 3)
    assert place(w, "train") == ("w.yaml", 9, 1, 5)  # a section: its key
    assert place(w, "train.optimizer") == place(w, "train")  # not written: its section
    assert place(w, "serve.ttft_ms") == ("w.yaml", 1, 1, 7)  # nor its section: the first key
    assert place(w, "storage.7.mount") == place(w, "storage")
    span = w.at("train.deadline")
    assert span and span.text == "  deadline: 21d"


def test_overlays_merge_deeply_and_lists_replace() -> None:
    w = loaded(
        EXAMPLE,
        env=("train: {checkpoint: {keep: 5}}\nplace: {regions: [us-central1], residency: us}\n", "labels: {team: b}\n"),
    )
    assert w.train and w.train.checkpoint
    assert (w.train.checkpoint.keep, w.train.checkpoint.every) == (5, 1800)
    assert (w.place.regions, w.place.optimise) == (["us-central1"], "cost")
    assert w.labels == {"team": "b", "cost-center": "4711"}
    assert place(w, "train.checkpoint.keep") == ("env0.yaml", 1, 28, 1)
    assert place(w, "train.checkpoint.every")[:2] == ("w.yaml", 15)
    assert place(w, "place.regions.0") == ("env0.yaml", 2, 19, 11)
    assert place(w, "labels.team")[0] == "env1.yaml"


def test_later_overlays_win_and_a_null_takes_away() -> None:
    w = loaded(EXAMPLE, "limits=", env=("project: first-one\n", "project: second-one\nlabels: ~\n"))
    assert (w.project, w.labels, w.limits.usd_total) == ("second-one", {}, None)


def test_settings_come_last_and_know_their_place() -> None:
    w = loaded(
        EXAMPLE,
        "machine.count=8",
        "storage.0.mount=/x",
        "place.zones=[europe-west4-a]",
        'labels.b="7"',
        "data.size=1TiB",
    )
    assert (w.machine.count, w.storage[0].mount, w.place.zones) == (8, "/x", ["europe-west4-a"])
    assert w.labels["b"] == "7"
    assert place(w, "machine.count") == ("--set", 1, 15, 1)
    assert place(w, "storage.0.mount") == ("--set", 1, 17, 2)
    assert place(w, "storage.0.purpose")[0] == "w.yaml"


def test_a_workload_from_python_has_no_places() -> None:
    assert Workload.model_validate({"version": 1, "name": "a", "task": "compute"}).at("name") is None


def test_aliases_expand() -> None:
    w = loaded(
        "version: 1\nname: a\ntask: compute\nplace: {zones: &z [b-a, b-b]}\nstorage: [{purpose: home, zones: *z}]\n"
    )
    assert w.storage[0].zones == ["b-a", "b-b"]
    assert place(w, "storage.0.zones.1") == ("w.yaml", 4, 25, 3)


HOSTILE = {
    "brackets": b"a: " + b"[" * 2**20,
    "braces": b"a: " + b"{" * 2**20,
    "dashes": b"- " * 2**19,
    "one comment": b"#" * 2**20,
    "one plain scalar": b"a: " + b"x " * 2**19,
    "one quoted scalar": b'a: "' + b"x" * 2**20,
    "escapes": b'a: "' + b"\\n" * 2**19 + b'"',
    "keys": b"".join(b"k%d: 1\n" % number for number in range(90_000)),
    "the same key": b"a: 1\n" * 200_000,
    "blank lines": b"\n" * 2**20,
    "open keys": b"? " * 2**19,
    "directives": b"%YAML 1.2\n" * 100_000,
    "documents": b"---\n" * 250_000,
    "anchors": b"".join(b"&a%d " % number for number in range(100_000)),
    "aliases": b"a: &a [" + b"x," * 1000 + b"]\nb: [" + b"*a, " * 200_000 + b"]",
    "tags": b"!" * 2**20,
    "digits": b"version: " + b"9" * 2**20,
    "unknown keys": b"".join(b"keyname%d: 1\n" % number for number in range(1_400)),
    "block scalar": b"a: |\n" + b" x\n" * 300_000,
    "one flow line": b"[" + b"a, " * 300_000,
    "carriage returns": b"\r" * 2**20,
    "question marks in flow": b"{" + b"? a, " * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_refused_soon(name: str) -> None:
    def refuse() -> None:
        found = Diagnostics()
        with pytest.raises(CompileError):
            load(Source(File("w.yaml", HOSTILE[name][: 2**20])), found)
        assert "".join(text(one) for one in found)

    assert loops(refuse, repeats=1) < 4000  # about 800 where it was measured


def assert_loads_or_says_where(content: bytes, overlays: tuple[bytes, ...] = (), sets: tuple[str, ...] = ()) -> None:
    """Either a workload, or errors that lie inside the file they name and can be shown."""
    found = Diagnostics()
    files = tuple(File(f"env{number}.yaml", one) for number, one in enumerate(overlays))
    try:
        load(Source(File("w.yaml", content), files, sets), found)
    except CompileError:
        assert found.has_errors
    else:
        assert not found.has_errors
    sources = {"w.yaml": content} | {file.name: file.content for file in files}
    for one in found:
        assert one.span is not None and one.message and one.why
        assert one.severity is Severity.WARNING or one.help or one.code in ("D022", "D033")
        if one.span.file != "--set":
            lines = sources[one.span.file].decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
            assert 1 <= one.span.line <= lines.count("\n") + 1
        assert 1 <= one.span.column <= len(one.span.text) + 1
        shown = text(one)
        assert not any(ord(character) < 32 and character != "\n" for character in shown)
        assert len(shown.splitlines()) <= 7
        str(record(one)).encode()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
@example(b'a: "\\U00110000"')
@example(b"%YAML 9999999999999999999999.1\n---\na: 1")
@example(b"a: \xe2\x80\xa8b: c: d")
@example(b"\x85: [")
def test_any_bytes(content: bytes) -> None:
    assert_loads_or_says_where(content)


YAML_PIECES = st.sampled_from(
    [*"-:?[]{},&*!|>'\"%@`#\n\t \\", "\r\n", ": ", "- ", "  ", "---\n", "<<", "~", "name", "task", "serve", "storage",
     "version", "1", ".inf", ".nan", "0x", "1e999", "&a ", "*a", "!!str ", "\\u0000", "\u2028", "\ufeff", "é", "模"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(YAML_PIECES, max_size=40).map("".join))
def test_any_text_that_looks_like_yaml(content: str) -> None:
    assert_loads_or_says_where(content.encode())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_a_good_descriptor(data: st.DataObject) -> None:
    content = EXAMPLE
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        taken = data.draw(st.integers(0, 6))
        content = content[:at] + data.draw(st.one_of(YAML_PIECES, st.text(max_size=3))) + content[at + taken :]
    assert_loads_or_says_where(content.encode("utf-8", "surrogatepass"))


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["40TiB", "3d"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
PATHS = [
    path
    for section in ("", "model", "serve", "train", "data", "machine", "capacity", "place", "image", "group", "network")
    for path in [f"{section}.{key}".lstrip(".") for key in sections()[section]]
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), VALUES)
def test_any_value_in_any_field(path: str, value: object) -> None:
    assert_loads_or_says_where(EXAMPLE.encode(), sets=(f"{path}={json.dumps(value, ensure_ascii=False)}",))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_setting(setting: str) -> None:
    assert_loads_or_says_where(EXAMPLE.encode(), sets=(setting,))


def test_spans_count_in_characters_and_lines_break_where_editors_break_them() -> None:
    content = tree.Text("w.yaml", "a\r\nb\rc\nd\u2028e")
    assert [content.span(at).line for at in (0, 3, 5, 7, 9)] == [1, 2, 3, 4, 4]
    assert content.span(9).column == 3


def test_loading_is_fast_enough_for_every_save() -> None:
    """Reading 25 lines costs a small multiple of PyYAML's own events, not more."""
    assert loops(lambda: loaded(EXAMPLE)) < 6 * loops(lambda: list(yaml.parse(EXAMPLE, Loader=yaml.SafeLoader)))


def test_no_source_file_of_the_stage_touches_the_disk_but_one() -> None:
    folder = Path(tree.__file__).parent
    readers = {path.name for path in folder.glob("*.py") if "pathlib" in path.read_text()}
    assert readers == {"source.py"}
