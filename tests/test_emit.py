"""Emission: whatever a descriptor can carry arrives as literal text, templates can be overlaid, empty files are left out."""

import json
import re

import hcl2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infragen import emit, lower
from infragen.decide.model import Program, Reason
from infragen.diagnostics import CompileError, Diagnostics
from infragen.lower.gce import boot
from infragen.lower.gce.context import COMMENT_WIDTH, comment
from infragen.lower.hcl import Expression, join, literal
from tests.lower.plans import decision, serve, train

TEMPLATES = emit.load_templates()
NASTY = [
    "${var.project_id}", "%{ if true }x%{ endif }", "$${x}", "$$${x}", "%%{x}", '"', "\\", "\\n", "a\nb\r\n", "\t", "<<EOT\nx\nEOT",
    "`id`", "$(id)", "'; id #", "\x00\x01\x1b\x7f\x85\u2028", "{{ x }}", "{% raw %}", "#{", "é漢😀", "", " ", "$", "%", "${", "/* x", "// x",
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"])))
PROCESS_TEXT = TEXT.filter(lambda text: "\0" not in text)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
HCL_PIECE = re.compile(r'\\u([0-9a-f]{4})|\\(["\\nrt])|([$%])\3\{|([$%]\{)|([^"\\\x00-\x1f\x7f])', re.DOTALL)


def read_back(text):
    """What Terraform makes of a quoted string, by the grammar of HCL; fails on an interpolation and on a raw control character."""
    assert text[0] == text[-1] == '"'
    found, position = "", 1
    while position < len(text) - 1:
        match = HCL_PIECE.match(text, position)
        assert match and not match[4], text[position:]
        found += chr(int(match[1], 16)) if match[1] else ESCAPES.get(match[2] or "", "")
        found += f"{match[3]}{{" if match[3] else match[5] or ""
        position = match.end()
    return found


@given(TEXT)
def test_a_literal_is_read_back_as_the_text(text):
    assert read_back(literal(text)) == text


def test_terraform_reads_back_what_was_written(terraform):
    """The same for Terraform itself, over everything that is special somewhere."""
    body = "".join(f'output "o{index}" {{\n  value = {literal(text)}\n}}\n' for index, text in enumerate(NASTY))
    workspace = terraform(files={"main.tf": body})
    workspace.apply()
    outputs = json.loads(workspace.run("output", "-json"))
    assert [outputs[f"o{index}"]["value"] for index in range(len(NASTY))] == NASTY


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers() | st.booleans()))
def test_an_object_has_one_line_per_key(items):
    text = literal(items)
    assert text.count("\n") == (len(items) + 1 if items else 0)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_numbers_are_without_noise(number):
    assert re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", literal(number))
    assert float(literal(number)) == pytest.approx(number, rel=1e-9)


@pytest.mark.parametrize("value", [None, object(), b"x", float("nan"), float("inf"), "\ud800"])
def test_what_has_no_literal_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        literal(value)


def test_fixed_text_of_a_joined_string_stays_literal():
    assert str(join("${a}", Expression("var.b"), '"')) == '"$${a}${var.b}\\""'


@given(TEXT)
def test_a_comment_never_ends_before_its_text(text):
    for line in comment(text):
        assert line.isprintable()
        assert len(line) <= COMMENT_WIDTH or " " not in line


@given(PROCESS_TEXT)
def test_a_line_of_metadata_is_one_line_that_printf_undoes(text):
    line = boot.line(text)
    assert line and "\n" not in line and "\r" not in line
    assert undo_printf(line) == text


def undo_printf(line):
    """What bash makes of ``printf %b``, for the escapes that are used."""
    if line == "\\c":
        return ""
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r", "\\": "\\"}[match[1]], line, flags=re.DOTALL)


@SLOW
@given(PROCESS_TEXT, PROCESS_TEXT, TEXT)
def test_text_of_the_descriptor_never_changes_the_blocks(word, value, reason):
    """Command, environment, container, model name and reasons: same addresses, and each file is still HCL."""
    plan = replace(
        serve(),
        program=Program(word or "x", (word, value), (("NAME", value),), ()),
        machine=decision(serve().machine.choice, ("M009", reason)),
        model_name=reason,
    )
    files = emit.run(lower.run(plan), TEMPLATES, Diagnostics())
    assert addresses(files["main.tf"]) == MAIN_ADDRESSES
    expected = [boot.line(word), boot.line(value)]
    written = re.search(r"workload-command\s*= join\(\"\\n\", \[(.*?)\]\)\n", files["main.tf"], re.DOTALL)
    assert written
    assert [read_back(one) for one in re.findall(r'"(?:[^"\\]|\\.)*"', written[1])] == expected
    title = files["README.md"].splitlines()
    assert title.count("## Decisions") == 1
    assert [line for line in title if line.startswith("  - M009: ")] == ["  - " + emit.markdown(f"M009: {reason}")]


def addresses(text):
    blocks = hcl2.loads(text)["resource"]
    return {f"{kind}.{name}".replace('"', "") for block in blocks for kind, body in block.items() for name in body}


MAIN_ADDRESSES = addresses(emit.run(lower.run(serve()), TEMPLATES, Diagnostics())["main.tf"])


@given(TEXT)
def test_markdown_is_one_line_without_markup(text):
    line = emit.markdown(text)
    assert line.isprintable()
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|#]", line)


def test_files_without_content_are_not_written():
    files = emit.run(lower.run(serve()), TEMPLATES, Diagnostics())
    assert "capacity.tf" not in files
    assert set(files) == {
        "README.md", "dashboard.json", "iam.tf", "image.tf", "main.tf", "monitoring.tf", "network.tf", "outputs.tf", "providers.tf",
        "scripts/mount.sh", "scripts/run.sh", "scripts/startup.sh", "serving.tf", "storage.tf", "terraform.tfvars",
        "variables.tf", "versions.tf",
    }  # fmt: skip


def test_no_file_has_stray_space_or_template_marks():
    for path, text in emit.run(lower.run(train()), TEMPLATES, Diagnostics()).items():
        assert text.endswith("\n") and not text.endswith("\n\n"), path
        assert not re.search(r"[ \t]+$|\n\n\n|\{%|\{\{", text, re.MULTILINE), path


def test_a_folder_overlays_single_templates(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "versions.tf.j2").write_text("# ours\n", encoding="utf-8")
    (tmp_path / "scripts" / "run.sh.j2").write_text("#!/bin/bash\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no template", encoding="utf-8")
    own = emit.load_templates(tmp_path)
    files = emit.run(lower.run(serve()), own, Diagnostics())
    assert (files["versions.tf"], files["scripts/run.sh"]) == ("# ours\n", "#!/bin/bash\n")
    assert files["main.tf"] == emit.run(lower.run(serve()), TEMPLATES, Diagnostics())["main.tf"]
    assert set(own) == set(TEMPLATES)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"main.tf.j2": ""}, []),
        ({}, ["holds no templates"]),
        ({"notes.txt": ""}, ["holds no templates"]),
        ({"mian.tf.j2": ""}, ["nothing reads the template `mian.tf.j2`: did you mean `main.tf.j2`?"]),
        ({"zzz.j2": ""}, ["nothing reads the template `zzz.j2`: the templates are"]),
        ({"zzz.j2": "", "main.tf.j2": "{% include 'zzz.j2' %}"}, []),
    ],
)
def test_templates_that_nothing_reads_are_told_of(tmp_path, files, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    diags = Diagnostics()
    emit.load_templates(tmp_path, diags)
    found = [f"{one.message}: {one.help}" for one in diags]
    assert [one.code for one in diags] == ["E002"] * len(said) and not diags.has_errors
    assert all(words in one for words, one in zip(said, found, strict=True)), found


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        emit.load_templates(tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("# ours\n{{ settings.nothing }}\n", 2, "has no attribute 'nothing'"),
        ("{% if settings %}\n", 1, "Unexpected end of template"),
        ("\n\n{{ 1 / 0 }}\n", 3, "division by zero"),
        ("{{ settings | hcl }}\n", 1, ""),
    ],
)
def test_a_template_that_does_not_fit_is_refused_with_its_line(text, line, message):
    found = Diagnostics()
    with pytest.raises(CompileError):
        emit.run(lower.run(serve()), TEMPLATES | {"versions.tf.j2": text}, found)
    [fault] = found
    assert (fault.code, fault.span.file, fault.span.line) == ("E001", "templates/versions.tf.j2", line)
    assert message in fault.message


def test_reasons_stand_above_what_they_explain():
    plan = replace(serve(), machine=decision(serve().machine.choice, ("M001", "one"), ("M002", "two")))
    assert (
        "  # M001: one\n  # M002: two\n  machine_type = "
        in emit.run(lower.run(plan), TEMPLATES, Diagnostics())["main.tf"]
    )
    assert Reason("M001", "one") in plan.machine.because
