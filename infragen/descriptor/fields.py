"""What can be wrong with one field by itself: one function per rule, as in ``rules``."""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from infragen.descriptor.rules import FORMAT, Says, nearest, objection
from infragen.descriptor.schema import Schema, sections

_SHOWN = 60  # characters of a value that a message repeats; the source line shows it anyway


class Form(Struct, frozen=True):
    """What a text must look like: in words, by example, and whether a wrong one can be made right mechanically."""

    words: str
    example: str
    is_label: bool = False
    starts_with_letter: bool = True


FORMS: dict[str, Form] = {
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$": Form(
        "lower-case letters, digits and `-`, beginning with a letter and ending with a letter or digit (RFC 1035)",
        "support-chat",
        is_label=True,
    ),
    r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$": Form(
        "at most 63 lower-case letters, digits and `-`, beginning with a letter (RFC 1035)", "main-vpc", is_label=True
    ),
    r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$": Form(
        "a project id: 6 to 30 lower-case letters, digits and `-`, beginning with a letter", "my-project"
    ),
    r"^[a-z][-_a-z0-9]{0,62}$": Form(
        "at most 63 lower-case letters, digits, `-` and `_`, beginning with a letter", "cost-center", is_label=True
    ),
    r"^[-_a-z0-9]{0,63}$": Form(
        "at most 63 lower-case letters, digits, `-` and `_`", "support", is_label=True, starts_with_letter=False
    ),
    r"^gs://[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9](/.*)?$": Form("a bucket and a prefix", "gs://bucket/prefix"),
    r"^[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]$": Form(
        "a bucket: 3 to 63 lower-case letters, digits, `-`, `_` and `.`, without `gs://`", "my-state-bucket"
    ),
    r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$": Form("an IPv4 range in CIDR notation", "10.20.0.0/16"),
    r"^\d+(x\d+){1,2}$": Form("two or three numbers with `x` between them", "4x4"),
    r"^/[A-Za-z0-9._/-]+$": Form("an absolute path of letters, digits, `.`, `_`, `-` and `/`", "/mnt/data"),
    r"^[A-Za-z_][A-Za-z0-9_]*$": Form("letters, digits and `_`, not beginning with a digit", "MAX_BATCH"),
    r"^/[!-~]*$": Form("a path that begins with `/`, without spaces", "/health"),
    r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$": Form(
        "the full resource name of a key", "projects/my-project/locations/europe-west4/keyRings/ring/cryptoKeys/key"
    ),
    r"^google_[a-z_]+\.[a-z0-9_]+$": Form(
        "the Terraform address of a resource, without an instance key", "google_filestore_instance.home"
    ),
    r"^[A-Za-z][-A-Za-z0-9._~+%]{2,254}$": Form("the name of a Pub/Sub subscription, without its project", "jobs"),
    r"^[a-z][-a-z0-9.]*\.[a-z]+(/[A-Za-z0-9_.-]+)+$": Form(
        "a metric of Cloud Monitoring: domain and path", "custom.googleapis.com/jobs/waiting"
    ),
    r"^(projects/[^/]+/reservations/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?(/reservationBlocks/[^/]+(/reservationSubBlocks/[^/]+)?)?$": Form(
        "the name of a reservation, at most 63 lower-case letters, digits and `-`, or its path "
        "`projects/OWNER/reservations/NAME`",
        "q1-block",
    ),
    r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$": Form("a DNS name", "chat.example.com"),
    r"^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$": Form("the id of a billing account", "01ABCD-23EF45-678901"),
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": Form("an e-mail address", "ops@example.com"),
    r"^projects/[^/]+/(zones|regions)/[^/]+/disks/[a-z][-a-z0-9]*$": Form(
        "the full path of a disk", "projects/my-project/zones/europe-west4-a/disks/golden"
    ),
    r"^(projects/[^/]+/global/snapshots/)?[a-z][-a-z0-9]*$": Form(
        "the name or the full path of a snapshot", "projects/my-project/global/snapshots/golden-v3"
    ),
    r"^(projects/[^/]+/global/images/)?[a-z][-a-z0-9]*$": Form(
        "the name or the full path of an image, not of a family", "projects/my-project/global/images/golden-v3"
    ),
    r"^gs://[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]/.+\.tar\.gz$": Form(
        "a compressed archive in a bucket", "gs://bucket/path/image.tar.gz"
    ),
    r"^[0-9a-f]{40}$": Form("40 hexadecimal digits in lower case", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    r"^[A-Za-z0-9][A-Za-z0-9+._-]*(=[A-Za-z0-9][A-Za-z0-9.+:~_-]*)?$": Form(
        "the name of a package, with or without `=` and a version", "jq"
    ),
    r"^[A-Za-z0-9._/-]+$": Form("letters, digits, `.`, `_`, `-` and `/`", "stacks/chat"),
}
"""Pattern of the model -> its words. A test holds that no pattern is without."""


@objection("D020", "unknown-key", FORMAT)
def unknown_key(key: str, section: str) -> Says:
    """Every key is one that its section knows.

    Why: a misspelt key that is skipped leaves its field to be decided, against what its author meant.
    Example: `ttft-ms: 1500` in `serve`, where the key is `ttft_ms`.
    """
    keys = sections().get(section, ())
    near = nearest(key, keys)
    far = nearest(key, sorted({one for known in sections().values() for one in known}), likeness=0.8)
    if near:
        help = f"did you mean `{near}`?"
    elif far == key:
        help = f"it belongs to {_homes(key)}"
    elif far:
        help = f"did you mean `{far}`, which belongs to {_homes(far)}?"
    else:
        help = "its keys are " + ", ".join(f"`{one}`" for one in keys)
    return Says(f"unknown key `{shown(key)}` in {section_name(section)}", "no such key", help)


def _homes(key: str) -> str:
    return " or ".join(section_name(section) for section, known in sections().items() if key in known)


@objection("D021", "missing-key", FORMAT)
def missing_key(key: str, section: str, schema: Schema) -> Says:
    """`version`, `name` and `task` are given, and what a section cannot do without.

    Why: these are what the user alone can know; everything else is decided when it is left out.
    Example: a store without `purpose`.
    """
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    help = f"add `{key}: {values[0] if values else '...'}`, {schema.get('description', 'a value')}"
    if len(values) > 1:
        help += "; one of " + ", ".join(f"`{value}`" for value in values)
    return Says(f"`{key}` is missing in {section_name(section)}", f"needs `{key}`", help)


@objection("D022", "wrong-type", FORMAT)
def wrong_type(name: str, found: str, wanted: str, help: str) -> Says:
    """A value has the type of its field.

    Why: reading one type as another is a guess: YAML 1.2 knows `true`, and takes `yes` for a text.
    Example: `count: two`, `cost-center: 4711` among the labels, `deletion_protection: no`.
    """
    return Says(f"{name} is {found}, not {wanted}", f"wanted {wanted}", help)


@objection("D023", "not-a-choice", FORMAT)
def not_a_choice(name: str, text: str, choices: Iterable[Any]) -> Says:
    """A field with a known set of values has one of them.

    Why: a value that nobody knows cannot be obeyed.
    Example: `task: training`, where the tasks are `pretrain` and `finetune`.
    """
    texts = [str(choice) for choice in choices]
    near = nearest(text, texts)
    listed = ", ".join(f"`{one}`" for one in texts)
    if text in texts:
        help = f"write `{text}`, a number without quotation marks"
    elif len(texts) == 1:
        help = f"write {listed}"
    else:
        help = (f"did you mean `{near}`? " if near else "") + f"choose one of {listed}"
    return Says(f"{name} cannot be `{shown(text)}`", "not one of its values", help)


@objection("D024", "out-of-range", FORMAT)
def out_of_range(name: str, text: str, bounds: str, help: str) -> Says:
    """A number lies between the bounds of its field.

    Why: beyond its bounds lie slips of the keyboard and wrong units: a percentage where a fraction is meant, more bytes than
    any cloud holds, more requests than people on earth.
    Example: `gpu_memory_utilization: 90`, where 0.9 is meant; `size: 1e999PiB`.
    """
    return Says(f"{name} cannot be `{shown(text)}`", f"must be {bounds}", help)


@objection("D025", "wrong-form", "https://www.rfc-editor.org/rfc/rfc1035#section-2.3.1")
def wrong_form(name: str, text: str, form: Form, max_length: int | None) -> Says:
    """A name, path, address or label has the form that the cloud accepts, and room for what is added to it.

    Why: the cloud would refuse it too, but only while applying, with half of the stack built.
    Example: `name: Support_Chat`, where `support-chat` would do; a `name` of 41 characters.
    """
    room = max_length or 63
    if max_length is not None and len(text) > max_length:
        message = f"{name} is {len(text)} characters long, {len(text) - max_length} too many"
        label = f"at most {max_length} characters"
    else:
        message, label = f"{name} has an invalid form", "wanted " + form.words
    corrected = _corrected(text, room, form.starts_with_letter) if form.is_label else ""
    help = f"for example `{corrected or form.example}`"
    if max_length is not None and len(text) > max_length:
        help += "; suffixes that tell resources apart are added to it, and need room"
    return Says(message, label, help)


@objection("D026", "missing-unit", FORMAT)
def missing_unit(name: str, label: str, help: str) -> Says:
    """A size, a time and a rate carry their unit.

    Why: a bare number is read as GiB by one person and as GB by the next; 30 may be seconds or minutes.
    Example: `deadline: 21`, where `21d` is meant.
    """
    return Says(f"{name} has no unit", label, help)


@objection("D027", "unknown-unit", FORMAT)
def unknown_unit(name: str, label: str, help: str) -> Says:
    """A unit is one of the known ones, in its usual capitals.

    Why: `m` and `M`, `Gb` and `GB` differ by factors of 8 to a billion; a guess between them is an expensive guess.
    Example: `40Tib`, `30min`.
    """
    return Says(f"{name} has an unknown unit", label, help)


@objection("D028", "wrong-kind-of-unit", FORMAT)
def wrong_kind_of_unit(name: str, label: str, help: str) -> Says:
    """A unit is of the kind that the field measures.

    Why: a size is no time, and a rate is no size.
    Example: `throughput: 2400MiB`, where `2400MiB/s` is meant.
    """
    return Says(f"{name} has a unit of the wrong kind", label, help)


@objection("D029", "not-a-quantity", FORMAT)
def not_a_quantity(name: str, label: str, help: str) -> Says:
    """A size, a time and a rate are one number with one unit.

    Why: anything else would have to be guessed.
    Example: `deadline: three weeks`, `capacity: 1,5TiB`.
    """
    return Says(f"{name} is not a quantity", label, help)


@objection("D030", "not-a-time", "https://www.rfc-editor.org/rfc/rfc3339")
def not_a_time(name: str, problem: str) -> Says:
    """A point in time is a date with a time of day, as in RFC 3339.

    Why: a date alone does not say when a window opens, and other notations are read differently around the world.
    Example: `start: 11/01/2027`, where `2027-01-11T08:00:00Z` or `2027-11-01T08:00:00Z` is meant.
    """
    return Says(f"{name} is not a point in time", problem, "write it like `2027-01-11T08:00:00Z`")


@objection("D031", "time-without-offset", "https://www.rfc-editor.org/rfc/rfc3339")
def time_without_offset(name: str, text: str) -> Says:
    """A point in time says which zone it is in.

    Why: eight o'clock in California is seventeen o'clock in Germany; a window that opens at another hour costs money.
    Example: `start: 2027-01-11T08:00:00`.
    """
    help = f"write `{text}Z` for UTC, or an offset such as `{text}+01:00`"
    return Says(f"{name} has no zone offset", "in which zone?", help)


@objection("D032", "wrong-length", FORMAT)
def wrong_length(name: str, *, is_list: bool) -> Says:
    """A list of candidates has at least one entry, and a name at least one character.

    Why: nothing can be chosen from an empty list, and nothing goes by an empty name; leaving the key out means that
    everything is allowed.
    Example: `regions: []`; `type: ""`, which a template often makes of a variable that is not set.
    """
    if is_list:
        return Says(f"{name} is empty", "no entries", "add an entry, or leave the key out")
    return Says(f"{name} is empty", "no text", "write a text, or leave the key out")


@objection("D033", "wrong-value", FORMAT)
def wrong_value(name: str, wanted: str) -> Says:
    """A value is one that its field can hold.

    Why: what cannot be held cannot be obeyed.
    Example: a text of a kind that no other rule describes.
    """
    return Says(f"{name} has an invalid value", f"wanted {wanted}", f"write {wanted}, or leave it out")


def section_name(section: str) -> str:
    """A section as a message names it."""
    return f"`{section}`" if section else "the descriptor"


def shown(text: str) -> str:
    """``text``, cut where a message would become unreadable."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _corrected(text: str, room: int, starts_with_letter: bool = True) -> str:
    """The nearest label of at most ``room`` characters, or nothing.

    >>> _corrected("4 Support_Chat!", 40), _corrected("2027/Q1", 63, starts_with_letter=False)
    ('support-chat', '2027-q1')
    """
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789" if starts_with_letter else "-")
    return label[:room].rstrip("-")
