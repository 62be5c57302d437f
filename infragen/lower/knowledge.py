"""What the lower stage knows about Google Cloud beside the fact tables: limits of names, APIs, roles, address ranges.

Gives entries of ``data/gce.json``, read once per process. Names of products stand there and nowhere in the code.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def table() -> dict[str, Any]:
    """The whole table. Shared between callers: do not change it."""
    text = (Path(__file__).parent / "data" / "gce.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def know(*path: str) -> Any:
    """The entry at that path. Raises KeyError for a path that the table lacks.

    >>> know("name_limits", "default")
    63
    """
    found: Any = table()
    for key in path:
        found = found[key]
    return found


def store_kind(service: str) -> str:
    """How a storage service is lowered: bucket, nfs, parallel, scratch, local, and disk for all block storage."""
    kind: str = know("stores").get(service, "disk")
    return kind
