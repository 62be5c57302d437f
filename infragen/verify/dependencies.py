"""Which resource refers to which, as the text says it.

Takes the files of one directory. Gives every resource with its file and the resources it refers to, through local values too.
"""

from collections.abc import Mapping

from msgspec import Struct

from infragen.fileset import FileSet
from infragen.verify import hcl
from infragen.verify.uses import collect


class Resource(Struct, frozen=True):
    """Where a resource stands, and the addresses of the resources it refers to, sorted."""

    file: str
    needs: tuple[str, ...]


def resources(files: FileSet) -> Mapping[str, Resource]:
    """Address -> resource, of the `.tf` files of the top directory. What is no HCL is left aside."""
    owners: dict[str, str] = {}
    direct: dict[str, set[str]] = {}
    for path, text in files.items():
        if not path.endswith(".tf") or "/" in path:
            continue
        file, _ = hcl.parse(path, text)
        owners |= {".".join(block.label): path for block in file.body.named("resource")}
        for use in collect(file).references:
            names = use.reference.attributes
            if use.owner and names:
                direct.setdefault(use.owner, set()).add(f"{use.reference.root}.{names[0]}")
    return {
        address: Resource(path, tuple(sorted(_reached(address, direct, owners) - {address})))
        for address, path in sorted(owners.items())
    }


def _reached(address: str, direct: Mapping[str, set[str]], owners: Mapping[str, str]) -> set[str]:
    """The resources that an address refers to; other things on the way are followed, resources are not."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = list(direct.get(address, ()))
    while pending:
        name = pending.pop()
        if name in owners:
            found.add(name)
        elif name not in seen:
            seen.add(name)
            pending.extend(direct.get(name, ()))
    return found
