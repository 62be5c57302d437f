"""What `infragen check` says of a directory that it cannot read."""

from infragen.diagnostics import declare

MAX_BYTES = 4 * 2**20  # of one file
UNREADABLE = declare(
    "V050",
    "unreadable-module",
    """A directory to check holds Terraform files, and each of them is a regular file of text in UTF-8, of at most 4 MiB.

    Why: a directory without configuration would pass every check, and say nothing.
    Example: `infragen check modules/` where the files lie one level deeper.
    """,
    source="https://developer.hashicorp.com/terraform/language/files",
)
