"""Which published model a name means.

Takes what a user writes: a catalogue name, a repository id, or something close to one. Gives the `ModelCard`, or the
names that come near. Promises: case, organisation, separators and suffixes of tuning (``-Instruct``, ``-it``, ``-hf``, a release
date) do not matter; a different size, version or quantisation is never picked silently.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from infragen.facts.model import ModelCard

# the same shape, trained further; makers who repeat themselves
TUNING = frozenset({
    "instruct", "it", "hf", "chat", "pt", "meta", "nvidia", "thinking", "think", "reasoning", "preview", "sft", "dpo",
    "exp", "terminus",
})  # fmt: skip
UNTUNED = frozenset({"base"})  # dropped from what is asked only: in a name it may be a size
QUANTISED = {
    "fp8": "fp8", "w8a8": "int8", "w8a16": "int8", "int8": "int8", "8bit": "int8", "int4": "int4", "w4a16": "int4",
    "4bit": "int4", "fp4": "nvfp4", "nvfp4": "nvfp4", "mxfp4": "mxfp4", "mxfp8": "fp8", "bf16": "bf16", "fp16": "fp16",
    "q8": "int8", "q4": "int4", "iq4": "int4",
}  # fmt: skip
METHODS = {
    "awq": "int4",
    "gptq": "int4",
    "bnb": "int4",
    "autoround": "int4",
    "gguf": "",
    "quantized": "",
    "qat": "",
}  # where no width is stated
VARIANTS = frozenset(
    {"dynamic", "block", "channel", "kv", "marlin", "g128", "128g", "k", "m", "s", "xs", "0", "1"}
)  # of a quantisation, after its name
_PART = re.compile(r"[a-z]+|\d+")
_DATE = re.compile(r"(?:2[0-9](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])|20\d{6}|20\d{4})")

Key = tuple[str, ...]


def find(name: str, cards: Mapping[str, ModelCard]) -> ModelCard | tuple[str, ...]:
    """The card that a name means, else the names that come near, best first (none: nothing does).

    An exact catalogue name or repository id wins; then spellings that differ in case and separators; then names that
    differ in suffixes of tuning or a release date, when exactly one card is left.
    """
    exact = cards.get(name) or next((card for card in cards.values() if card.hf_id == name), None)
    if exact is not None:
        return exact
    wanted = _words(name)
    steps: tuple[Callable[[Key], Key], ...] = (_key, _without_tuning, _without_dates)
    for loosen in steps:
        asked = loosen(tuple(word for word in wanted if loosen is _key or word not in UNTUNED))
        matches = {card.name: card for card in cards.values() if asked and _is_called(card, asked, loosen)}
        same = [card for card in matches.values() if _is_called(card, asked, _key)]  # nothing was dropped from its name
        if len(same) == 1 or (len(matches) == 1 and not _is_vague(wanted, asked, loosen, cards)):
            return (same or list(matches.values()))[0]
        if len(matches) > 1:
            return tuple(sorted(matches))
    return _suggestions(wanted, cards)


def find_base(name: str, cards: Mapping[str, ModelCard]) -> tuple[ModelCard, str] | None:
    """The card that a quantised variant was made from, and the precision that its name states; None for other names."""
    precision = quantisation(name)
    if precision is None or isinstance(find(name, cards), ModelCard):
        return None
    base = find("-".join(_plain(_words(name))), cards)
    return (base, precision) if isinstance(base, ModelCard) else None


def quantisation(name: str) -> str | None:
    """The precision that a name states beside the model, as the descriptor spells it; None where it states none.

    >>> quantisation("org/Model-70B-Instruct-AWQ"), quantisation("Model-7B-GPTQ-Int8"), quantisation("Model-70B")
    ('int4', 'int8', None)
    """
    words = _words(name)
    stated = next((QUANTISED[word] for word in words if word in QUANTISED), None)
    return stated or next((METHODS[word] for word in words if METHODS.get(word)), None)


def _plain(words: Key) -> Key:
    """The words without those of a quantisation."""
    first = next((n for n, word in enumerate(words) if word in QUANTISED or word in METHODS), len(words))
    kept = [word for n, word in enumerate(words) if n < first or word not in VARIANTS]
    return tuple(word for word in kept if word not in QUANTISED and word not in METHODS)


def _is_vague(wanted: Key, asked: Key, loosen: Callable[[Key], Key], cards: Mapping[str, ModelCard]) -> bool:
    """A name without a date met one with it, and goes on to other names as well."""
    if loosen is not _without_dates or _without_tuning(wanted) != asked:
        return False
    return any(key[: len(asked)] == asked != key for card in cards.values() for key in _keys(card, _without_dates))


def _words(name: str) -> Key:
    """The parts of a name, lower case, without its organisation."""
    parts = re.split(r"[^a-z0-9]+", name.lower().rsplit("/", 1)[-1])
    return tuple(part for part in parts if part)


def _key(words: Key) -> Key:
    """Letters and numbers apart, so that separators do not matter."""
    return tuple(piece for word in words for piece in _PART.findall(word))


def _without_tuning(words: Key) -> Key:
    return _key(tuple(word for word in words if word not in TUNING))


def _without_dates(words: Key) -> Key:
    return _without_tuning(tuple(word for word in words if not _DATE.fullmatch(word)))


def _keys(card: ModelCard, loosen: Callable[[Key], Key]) -> tuple[Key, ...]:
    return _spelling(card.name, loosen), _spelling(card.hf_id, loosen)


def _is_called(card: ModelCard, asked: Key, loosen: Callable[[Key], Key]) -> bool:
    """Whether a name of the card is spelt like that; taken apart only where it holds the longest part of what is asked."""
    telling = max(asked, key=len)
    return any(telling in name.lower() and _spelling(name, loosen) == asked for name in (card.name, card.hf_id))


@lru_cache(maxsize=2048)
def _spelling(name: str, loosen: Callable[[Key], Key]) -> Key:
    return loosen(_words(name))


def _suggestions(wanted: Key, cards: Mapping[str, ModelCard]) -> tuple[str, ...]:
    """Names that come near; of a quantised variant the model it was made from."""
    plain = _plain(wanted)
    if plain != wanted:
        base = find("-".join(plain), cards)
        if isinstance(base, ModelCard):
            return (base.name,)
    by_spelling = {
        "-".join(_spelling(name, _without_tuning)): card.name
        for card in cards.values()
        for name in (card.hf_id, card.name)
    }
    asked = "-".join(_without_tuning(plain))
    longer = [one for one in by_spelling if asked and one.startswith(f"{asked}-")]
    near = longer or difflib.get_close_matches(asked, by_spelling, n=6, cutoff=0.6)
    return tuple(dict.fromkeys(by_spelling[one] for one in near))[:3]
