"""Findings as SARIF 2.1.0, the form that code review tools read.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from infragen import __version__
from infragen.diagnostics import Diagnostic, Rule, Severity, Span

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(diagnostics: Iterable[Diagnostic], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """One log with one run: the findings in the given order, and the rules that they break.

    ``rules`` is the catalogue, by id. Columns count characters, as the log says.
    """
    found = list(diagnostics)
    codes = sorted({one.code for one in found})
    index = {code: number for number, code in enumerate(codes)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "infragen",
                        "version": __version__,
                        "rules": [_rule(code, rules.get(code)) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, index[one.code]) for one in found],
            }
        ],
    }


def _rule(code: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": code}
    described: dict[str, Any] = {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": f"{rule.summary} {rule.why}"},
        "help": {
            "text": f"{rule.summary}\n\nWhy: {rule.why}\n\nExample: {rule.example}\n\nSource: {rule.source}",
            "markdown": f"{rule.summary}\n\n**Why:** {rule.why}\n\n**Example:** {rule.example}\n\n*Source:* {rule.source}",
        },
    }
    if rule.source.startswith("https://"):
        described["helpUri"] = rule.source
    return described


def _result(diagnostic: Diagnostic, rule_index: int) -> dict[str, Any]:
    sentences = [diagnostic.message]
    if diagnostic.label:
        sentences[0] += f": {diagnostic.label}"
    if diagnostic.help:
        sentences.append(f"Help: {diagnostic.help}")
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": "\n".join(sentences)},
    }
    if diagnostic.span is not None:
        result["locations"] = [_location(diagnostic.span)]
    return result


def _location(span: Span) -> dict[str, Any]:
    region: dict[str, Any] = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.line,
        "endColumn": span.column + span.length,
    }
    if span.text:
        region["snippet"] = {"text": span.text}
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(span.file.replace("\\", "/"), safe="/:._-~+@")},
            "region": region,
        }
    }
