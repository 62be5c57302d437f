"""Terraform text to findings: syntax, provider schema, references, policies."""

from infragen.verify.reading import JSON, MAX_BYTES, READ, UNREADABLE
from infragen.verify.stage import run

__all__ = ["JSON", "MAX_BYTES", "READ", "UNREADABLE", "run"]
