"""Names: the one place that builds Terraform addresses and cloud names.

Both are promises: an address that changes destroys what it names, so a name depends on the workload's name and the
meaning of the resource alone, never on order or size.
"""

import hashlib
import re

from infragen.lower.knowledge import know

ONLY = "main"  # the second word of the address of the only resource of its kind
HASH_LENGTH = 6  # hexadecimal digits: enough that names of one project do not meet


def local(meaning: str = "") -> str:
    """The second word of an address: snake case, `main` for the only one of its kind.

    >>> local(), local("health-check")
    ('main', 'health_check')
    """
    return re.sub(r"[^a-z0-9]+", "_", meaning.lower()).strip("_") or ONLY


def distinct(meaning: str, given: str) -> str:
    """The second word of an address for something a user named: different names never share an address.

    >>> distinct("source", "corpus"), distinct("source", "my-corpus"), distinct("source", "my.corpus")
    ('source_corpus', 'source_my_corpus', 'source_my_corpus_8276b2')
    """
    word = local(f"{meaning}-{given}")
    return word if word == f"{meaning}_{given.replace('-', '_')}" and "_" not in given else f"{word}_{_digest(given)}"


def cloud(workload: str, meaning: str = "", kind: str = "default", reserve: int = 0) -> str:
    """Name in the cloud: workload and meaning, within the limit of the kind minus ``reserve`` characters.

    A name that is too long keeps its beginning and ends in a hash of all of it; the same input gives the same name anywhere.
    One that is too short is padded with the hash; words that the kind refuses give way to a hash of the name. Kinds are
    keys of ``name_limits`` in the data file.

    >>> cloud("chat", "weights")
    'chat-weights'
    >>> cloud("a-very-long-name-for-a-workload-indeed", kind="google_service_account")
    'a-very-long-name-for-a-f8f628'
    """
    limits = know("name_limits")
    limit = limits.get(kind, limits["default"]) - reserve
    full = "-".join(part for part in (workload, meaning) if part)
    refused = know("name_refused").get(kind)
    if refused:
        full = re.sub(refused, "x" + _digest(full)[1:], full)
    if len(full) > limit:
        return _with_hash(full, limit)
    if len(full) < know("name_minimum").get(kind, 0):
        return _with_hash(full, len(full) + 1 + HASH_LENGTH)
    return full


def _with_hash(full: str, limit: int) -> str:
    return full[: limit - HASH_LENGTH - 1].rstrip("-") + "-" + _digest(full)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def plain(workload: str, meaning: str, kind: str) -> str:
    """A name of lower-case letters and digits only, starting with a letter, within the limit of the kind.

    >>> plain("support-chat", "dataset", "parallel_file_system")
    'dataset'
    >>> plain("support-chat", "checkpoints", "parallel_file_system")
    'ch4f4912'
    """
    limit: int = know("name_limits", kind)
    letters = re.sub(r"[^a-z0-9]", "", meaning.lower())
    return letters if len(letters) <= limit else letters[: limit - HASH_LENGTH] + _digest(f"{workload}/{meaning}")
