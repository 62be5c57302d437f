"""Terraform text to findings: syntax, provider schema, references, policies."""

from infragen.verify.reading import UNREADABLE
from infragen.verify.stage import run

__all__ = ["UNREADABLE", "run"]
