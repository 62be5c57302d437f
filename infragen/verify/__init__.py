"""Terraform text to findings: syntax, provider schema, references, policies."""

from infragen.verify.reading import MAX_BYTES, UNREADABLE
from infragen.verify.stage import run

__all__ = ["MAX_BYTES", "UNREADABLE", "run"]
