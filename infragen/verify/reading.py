"""What `infragen check` says of a directory, or of files in it, that it cannot read."""

import json
from collections.abc import Iterator

from infragen.diagnostics import Diagnostic, Span, declare

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
JSON = (".tf.json", ".tfvars.json")
READ = (".tf", ".tfvars", ".pkr.hcl", *JSON)  # ends of the names of files to check
NOT_READ = declare(
    "V051",
    "json-not-checked",
    """Say which files of Terraform's JSON syntax are not checked.

    Why: a module that is found clean while half of it was never looked at is worse than one that is not checked at all.
    Example: `main.tf.json` beside `main.tf` is a warning; what the other files refer to is then not held against what they
    declare, since not all declarations are known.
    """,
    source="https://developer.hashicorp.com/terraform/language/syntax/json",
)


def not_read(path: str, text: str) -> Iterator[Diagnostic]:
    """That a file in JSON is not checked, and what is wrong with it as JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        lines = text.splitlines() or [""]
        span = Span(path, line, getattr(error, "colno", 1), 1, lines[min(line, len(lines)) - 1])
        message = f"`{path}` is not JSON"
        yield UNREADABLE.error(
            message, span, getattr(error, "msg", "nested too deeply"), "Terraform refuses it too: mend it"
        )
        return
    help = "write it in the native syntax (`.tf`) to have it checked; `terraform validate` reads both"
    yield NOT_READ.warning(f"`{path}` is not checked: it is written in JSON", Span(path, 1), help=help)
