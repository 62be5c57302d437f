"""Quantities with units: text to number and back.

Inside infragen sizes are bytes, times are seconds, rates are bytes per second; names carry the unit that a number is
in (``memory_gib``, ``nic_gbps``). This module is the only place where a unit is spelled out or read.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

KIB, MIB, GIB, TIB, PIB = 2**10, 2**20, 2**30, 2**40, 2**50
KB, MB, GB, TB, PB = 10**3, 10**6, 10**9, 10**12, 10**15
HOUR_S, DAY_S = 3600, 86_400
HOURS_PER_MONTH = 730.0  # what cloud price lists mean by a month

Kind = Literal["size", "duration", "rate"]

UNITS: dict[Kind, dict[str, float]] = {
    "size": {
        "B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB, "PiB": PIB,
        "KB": KB, "MB": MB, "GB": GB, "TB": TB, "PB": PB,
    },
    "duration": {"ms": 0.001, "s": 1, "m": 60, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S},
    "rate": {"MiB/s": MIB, "GiB/s": GIB, "TiB/s": TIB, "MB/s": MB, "GB/s": GB, "TB/s": TB},
}  # fmt: skip
MOST: dict[Kind, tuple[float, str]] = {
    "size": (1e6 * PIB, "1000000PiB"), "duration": (36_525 * DAY_S, "36525d"), "rate": (1e6 * TIB, "1000000TiB/s"),
}  # fmt: skip
"""The largest of a kind that can be meant: more than any cloud holds, a lifetime, more than any cloud moves."""
EXAMPLE: dict[Kind, str] = {"size": "40TiB", "duration": "30m", "rate": "2400MiB/s"}

_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z/%µ]*)")


@dataclass(frozen=True, slots=True)
class UnitError(ValueError):
    """Why a text is not a quantity of the wanted kind; ``help`` says what would be."""

    problem: Literal["missing-unit", "unknown-unit", "wrong-kind", "not-a-quantity", "out-of-range"]
    message: str
    help: str

    def __str__(self) -> str:
        return self.message


def parse(value: object, kind: Kind) -> float:
    """The number of bytes, seconds or bytes per second that ``value`` stands for. Raises UnitError.

    >>> parse("40TiB", "size") == 40 * TIB
    True
    >>> parse("30m", "duration")
    1800.0
    >>> parse("30", "duration")
    Traceback (most recent call last):
    ...
    infragen.units.UnitError: `30` has no unit
    """
    known = ", ".join(f"`{unit}`" for unit in UNITS[kind])
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError("not-a-quantity", f"a {kind} is a number with a unit", f"write it like `{EXAMPLE[kind]}`")
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        raise UnitError("not-a-quantity", f"`{value}` is not a {kind}", f"write it like `{EXAMPLE[kind]}`")
    number, unit = float(match[1]), match[2]
    if not unit:
        raise UnitError(
            "missing-unit", f"`{value}` has no unit", f"add one of {known}, for example `{value}{_likely(kind)}`"
        )
    if unit not in UNITS[kind]:
        other = next((k for k, units in UNITS.items() if unit in units), None)
        if other:
            raise UnitError("wrong-kind", f"`{unit}` is a unit of {other}, not of {kind}", f"use one of {known}")
        alike = next((u for u in UNITS[kind] if u.lower() == unit.lower()), None)
        hint = f"did you mean `{match[1]}{alike}`?" if alike else f"use one of {known}"
        raise UnitError("unknown-unit", f"`{unit}` is not a unit of {kind}", hint)
    quantity = number * UNITS[kind][unit]
    most, words = MOST[kind]
    if not 0 < quantity <= most:
        raise UnitError("out-of-range", f"greater than zero and at most {words}", f"write it like `{EXAMPLE[kind]}`")
    return quantity


def _likely(kind: Kind) -> str:
    return EXAMPLE[kind].lstrip("0123456789")


def earliest(text: str) -> date:
    """The first day that a date can mean of which the day, or the month too, is not given. Raises ValueError for no date.

    >>> str(earliest("2026")), str(earliest("2026-07")), str(earliest("2026-07-30"))
    ('2026-01-01', '2026-07-01', '2026-07-30')
    """
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(f"{text}-01-01"[:10])


def day(text: str) -> str:
    """A date in words, as far as it is given.

    >>> day("2026-07-30"), day("2026")
    ('2026-07-30', '2026 (day not given)')
    """
    return text if len(text) == 10 or not text else f"{text} (day not given)"


def size(number_of_bytes: float) -> str:
    """A size for people, in binary units.

    >>> size(40 * TIB), size(1.5 * GIB), size(512)
    ('40 TiB', '1.5 GiB', '512 B')
    """
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        if number_of_bytes >= UNITS["size"][unit]:
            return f"{number_of_bytes / UNITS['size'][unit]:.4g} {unit}"
    return f"{number_of_bytes:.4g} B"


def duration(seconds: float) -> str:
    """A time for people, in the largest unit that leaves at least 1.

    >>> duration(1800), duration(90_000), duration(0.05)
    ('30 min', '25 h', '50 ms')
    """
    if seconds >= 2 * DAY_S:
        return f"{seconds / DAY_S:.3g} days"
    if seconds >= HOUR_S:
        return f"{seconds / HOUR_S:.3g} h"
    if seconds >= 60:
        return f"{seconds / 60:.3g} min"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def count(number: float) -> str:
    """A large number for people.

    >>> count(70.6e9), count(200e9), count(999), count(15e12)
    ('70.6 B', '200 B', '999', '15 T')
    """
    for suffix, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:.3g} {suffix}"
    return f"{number:,.4g}" if number < 1e4 else f"{number:,.0f}"


def many(number: int, noun: str) -> str:
    """A count with its noun.

    >>> many(1, "VM"), many(3, "VM")
    ('1 VM', '3 VMs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def figure(number: float) -> str:
    """A computed number for people: three significant digits, never an exponent.

    >>> figure(0.0708), figure(67.57), figure(3348.2)
    ('0.0708', '67.6', '3,348')
    """
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def usd(amount: float) -> str:
    """An amount of money for people: cents below 100 USD, whole dollars above.

    >>> usd(0.7068), usd(88.49), usd(123456.7)
    ('0.71 USD', '88.49 USD', '123,457 USD')
    """
    return f"{amount:,.2f} USD" if abs(amount) < 100 else f"{amount:,.0f} USD"
