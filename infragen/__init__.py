"""infragen: from what a workload is to Terraform for Google Cloud, with the reason for every choice."""

__version__ = "0.1.0"
