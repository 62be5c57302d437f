"""From the plan to the Terraform blocks that carry it out."""

from infragen.lower.stage import PATHS, check, run

__all__ = ["PATHS", "check", "run"]
