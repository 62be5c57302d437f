"""What is true about the world: tables with source and date, and nothing else."""
