"""Fixtures for all tests."""

from tests.terraform.plugin import (
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
    stand_in,
    stand_in_terraform,
    terraform,
    terraform_judge,
    terraform_program,
)

__all__ = [
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "stand_in",
    "stand_in_terraform",
    "terraform",
    "terraform_judge",
    "terraform_program",
]
