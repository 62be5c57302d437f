"""The catalogue of rules documents itself; product names stay in the facts."""

import ast
import re

import pytest

from infragen.diagnostics import CATALOGUE
from tests import every_module  # noqa: F401  (enters every rule in the catalogue)
from tests.examples import CATALOG, ROOT

STAGES = "DSMTCRGIKNXPVWEQ"
SOURCES = sorted((ROOT / "infragen").rglob("*.py"))


@pytest.mark.parametrize("id", sorted(CATALOGUE))
def test_entry_is_well_formed(id):
    entry = CATALOGUE[id]
    assert re.fullmatch(rf"[{STAGES}]\d{{3}}", id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.name)
    assert entry.summary.endswith(".") and entry.why and entry.example and entry.source


def test_names_are_unique_within_a_stage():
    names = [(entry.id[0], entry.name) for entry in CATALOGUE.values()]
    assert len(names) == len(set(names))


def test_no_product_names_in_code():
    """Machine types, accelerators and series are facts. Docstrings may name them: an example is clearer than a riddle."""
    names = set(CATALOG.machines) | set(CATALOG.host_machines) | set(CATALOG.accelerators)
    names |= {chip.terraform_type for chip in CATALOG.accelerators.values() if chip.terraform_type}
    pattern = re.compile(
        "|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in sorted(names, key=len, reverse=True))
    )
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                prose.add(id(node.value))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "declare":
                prose |= {id(argument) for argument in node.args if isinstance(argument, ast.Constant)}
            if isinstance(node, ast.keyword) and node.arg in ("description", "examples"):
                prose |= {id(part) for part in ast.walk(node.value)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                match = pattern.search(node.value)
                if match:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {match[0]}")
    assert found == []
