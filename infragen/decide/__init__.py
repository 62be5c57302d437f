"""Workload and facts in, plan out."""

from infragen.decide.stage import run

__all__ = ["run"]
