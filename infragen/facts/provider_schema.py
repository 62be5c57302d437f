"""The schema of the google and google-beta providers, one entry at a time.

Takes a kind and a name. Gives that entry as plain JSON data. Promises to read only the entry asked for.

The pack is one file, written by ``tools/pack_provider_schema.py``: a line of JSON (version, sources and, per entry,
where it lies), a shared dictionary, then every entry compressed by itself. Opening it costs about a millisecond and
an entry a tenth of that; the whole table, 1,472 resources and 497 data sources, would cost half a second.

Keys of an entry: ``arguments`` (name -> type, elem, block, required, optional, computed, force_new, max_items,
enum, range, pattern, conflicts_with, ...), ``timeouts``, ``updatable``, ``provider`` (``google-beta`` where google
lacks it), and ``api_enums``: dotted path -> the values that Google's API knows, checked by the provider or not.
"""

import json
import zlib
from functools import cache
from typing import Any, Literal

from infragen.facts import DATA

Kind = Literal["provider", "resource", "data_source"]
Entry = dict[str, Any]

_PACK = "provider_schema.pack"


@cache
def _pack() -> tuple[dict[str, Any], bytes, memoryview]:
    """Header, compression dictionary, and the bytes that the header's offsets count from."""
    raw = memoryview((DATA / _PACK).read_bytes())
    end = bytes(raw[: 1 << 20]).index(b"\n") + 1
    header: dict[str, Any] = json.loads(bytes(raw[:end]))
    size = header["dictionary_bytes"]
    return header, bytes(raw[end : end + size]), raw[end + size :]


def version() -> str:
    """Provider version the schema was read from, for example ``7.45.0``."""
    return str(_pack()[0]["provider_version"])


def as_of() -> str:
    """ISO date on which the schema was read."""
    return str(_pack()[0]["as_of"])


def names(kind: Kind) -> list[str]:
    """Names of all entries of one kind, sorted: 1,472 resources, 497 data sources, one provider."""
    prefix = kind + " "
    return [key[len(prefix) :] for key in _pack()[0]["entries"] if key.startswith(prefix)]


@cache
def entry(kind: Kind, name: str) -> Entry | None:
    """The entry of that name, or None where neither provider has it. Shared between callers: do not change it.

    >>> entry("resource", "google_compute_disk")["arguments"]["zone"]["force_new"]
    True
    >>> entry("resource", "google_compute_dusk") is None
    True
    """
    header, dictionary, body = _pack()
    place = header["entries"].get(f"{kind} {name}")
    if place is None:
        return None
    offset, length = place
    text = zlib.decompressobj(zdict=dictionary).decompress(body[offset : offset + length])
    found: Entry = json.loads(text)
    return found
