"""What `infragen check` says of a directory that it cannot read."""

from infragen.diagnostics import declare

UNREADABLE = declare(
    "V050",
    "unreadable-module",
    """A directory to check holds Terraform files, and each of them is text in UTF-8.

    Why: a directory without configuration would pass every check, and say nothing.
    Example: `infragen check modules/` where the files lie one level deeper.
    """,
    source="https://developer.hashicorp.com/terraform/language/files",
)
