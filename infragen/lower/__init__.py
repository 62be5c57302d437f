"""From the plan to the Terraform blocks that carry it out."""

from infragen.lower.stage import check, run

__all__ = ["check", "run"]
