"""Pack a provider schema table and a table of API enumerations into ``infragen/facts/data/provider_schema.pack``.

    python tools/pack_provider_schema.py SCHEMA.jsonl API_ENUMS.jsonl --version 7.45.0 --as-of 2026-11-21

Both inputs hold one JSON object a line (``docs/facts.md`` says how they were read off the provider and off Google's
API descriptions). The API's enumerations are filed under the resource they belong to, so that a reader needs one
look-up. Reads and writes local files only.
"""

import argparse
import json
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "infragen" / "facts" / "data" / "provider_schema.pack"
DICTIONARY_BYTES = 32_000  # zlib's window; text that stands at its end is cheapest to refer to
TYPICAL = ("google_compute_instance_template", "google_compute_instance_group_manager", "google_container_cluster")


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def pack(schema: list[dict[str, Any]], enums: list[dict[str, Any]], version: str, as_of: str) -> bytes:
    """The bytes of the pack. Same input, same bytes."""
    by_resource: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in enums:
        rest = {key: row[key] for key in row if key not in {"resource", "path", "schema", "revision"}}
        by_resource[row["resource"]][row["path"]] = rest
    entries: dict[str, bytes] = {}
    for row in schema:
        found = by_resource.pop(row["name"], None) if row["kind"] == "resource" else None
        rest = {key: row[key] for key in row if key not in {"kind", "name"}} | ({"api_enums": found} if found else {})
        entries[f"{row['kind']} {row['name']}"] = compact(rest)
    if by_resource:
        raise SystemExit(f"API enumerations of resources the schema lacks: {sorted(by_resource)}")

    dictionary = b"".join(entries[f"resource {name}"] for name in TYPICAL)[-DICTIONARY_BYTES:]
    places: dict[str, tuple[int, int]] = {}
    body = b""
    for key in sorted(entries):
        packer = zlib.compressobj(9, zdict=dictionary)
        data = packer.compress(entries[key]) + packer.flush()
        places[key] = (len(body), len(data))
        body += data
    header = {
        "provider_version": version,
        "as_of": as_of,
        "source": "schema of the running providers google and google-beta; API values from Google's discovery documents",
        "dictionary_bytes": len(dictionary),
        "entries": places,
    }
    return json.dumps(header, separators=(",", ":")).encode() + b"\n" + dictionary + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("schema", type=Path)
    parser.add_argument("enums", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--as-of", required=True)
    arguments = parser.parse_args()
    tables = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in (arguments.schema, arguments.enums)
    ]
    TARGET.write_bytes(pack(*tables, arguments.version, arguments.as_of))
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
