"""What is true about the world: tables with source and date, and nothing else."""

from pathlib import Path

DATA = Path(__file__).parent / "data"
