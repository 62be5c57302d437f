"""Generated pages say what the code says, and what README shows is what really comes out."""

import re

import pytest

from infragen.diagnostics import CATALOGUE
from infragen.render import text
from tests import every_module  # noqa: F401  (enters every rule in the catalogue)
from tests.examples import ROOT, compiled
from tests.goldens import REWRITE

STAGES = {
    "D": "Descriptor", "S": "Sizing", "M": "Machine", "C": "Capacity", "R": "Place", "K": "Ranking", "T": "Storage",
    "I": "Image", "G": "Group", "N": "Plan", "X": "Cost", "V": "Terraform", "P": "Policy", "E": "Templates", "W": "Writing", "Q": "Catalogue",
}  # fmt: skip


def rules_page() -> str:
    lines = [
        "# Rules",
        "",
        "Everything that infragen chooses by, and objects to. `infragen explain ID` prints an entry. Written by `make docs`.",
    ]
    for letter, title in STAGES.items():
        entries = [CATALOGUE[id] for id in sorted(CATALOGUE) if id[0] == letter]
        if entries:
            lines += ["", f"## {title}"]
        for entry in entries:
            lines += [
                "",
                f"### {entry.id} {entry.name}",
                "",
                entry.summary,
                "",
                f"*Why:* {entry.why}",
                "",
                f"*Example:* {entry.example}",
                "",
                f"*Source:* {entry.source}",
            ]
    return "\n".join(lines) + "\n"


def test_rules_page_is_current():
    page = ROOT / "docs" / "rules.md"
    if REWRITE:
        page.write_text(rules_page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == rules_page(), "run `make docs`"


def readme_parts() -> dict[str, str]:
    run = compiled("01-serve-llama-8b")
    descriptor = (ROOT / "examples" / "01-serve-llama-8b" / "workload.yaml").read_text(encoding="utf-8")
    group = re.search(
        r'^resource "google_compute_region_instance_group_manager" "main" \{.*?^\}\n', run.files["main.tf"], re.M | re.S
    )
    return {
        "descriptor": f"```yaml\n{descriptor}```",
        "plan": f"```text\n{text.plan(run.plan, colour=False)}```",
        "hcl": f"```hcl\n{group[0] if group else ''}```",
        "why": f"```text\n{text.explain(run.plan, 'machine', WHY_NOT)}```",
    }


WHY_NOT = "g2-standard-8"


@pytest.mark.parametrize("part", ["descriptor", "plan", "hcl", "why"])
def test_readme_shows_real_output(part):
    path = ROOT / "README.md"
    page = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", re.S)
    assert pattern.search(page), f"README has no part {part}"
    current = pattern.sub(lambda match: match[1] + readme_parts()[part] + "\n" + match[2], page)
    if REWRITE:
        path.write_text(current, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == current, "run `make docs`"
