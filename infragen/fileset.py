"""The files that a run produces, in memory."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FileSet(Mapping[str, str]):
    """Relative path with forward slashes -> text, in the order of the paths. Immutable.

    Texts use line feeds and end with one. Paths never leave the output directory: no drive, no ``..``, no leading ``/``.

    >>> sorted(FileSet({"scripts/boot.sh": "true\\n", "main.tf": ""}))
    ['main.tf', 'scripts/boot.sh']
    """

    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", {path: self.texts[path] for path in sorted(self.texts)})

    def __getitem__(self, path: str) -> str:
        return self.texts[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def digests(self) -> dict[str, str]:
        """Path -> ``sha256:`` and the hexadecimal digest of its UTF-8 text."""
        return {path: "sha256:" + hashlib.sha256(text.encode()).hexdigest() for path, text in self.texts.items()}

    def with_file(self, path: str, text: str) -> "FileSet":
        """A copy that also holds ``path``."""
        return FileSet({**self.texts, path: text})
