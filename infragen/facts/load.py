"""The fact tables, read when they are asked for and only once.

Takes CSV files of ``infragen/facts/data`` (or, in tests, of another folder). Gives `Catalog`, whose attributes are
tuples or dictionaries of the records of ``model.py``. Promises: a row that does not fit its record raises FactError with
file and line; nothing is filled in silently.
"""

import csv
import json
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from infragen.facts import DATA, model

Record = TypeVar("Record", bound=Struct)
FLAGS = {"yes": True, "no": False}
VENDORS = ("google", "cloud", "nvidia", "amd", "intel", "aws")
EVERYWHERE = "everywhere"  # in the place of a region: the price is the same in all


class FactError(ValueError):
    """A row of a fact table does not fit its record: a fault of infragen's data, or of an overlay table."""


@cache
def folded(name: str) -> str:
    """A name of hardware without what people write differently: case, punctuation and the vendor."""
    letters = "".join(letter for letter in name.casefold() if letter.isalnum())
    for vendor in VENDORS:
        letters = letters.removeprefix(vendor)
    return letters


def _reader(hint: Any) -> Callable[[str], Any]:
    """How a cell of that type is read. An empty cell, and ``unknown``, is None where None is allowed."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = _reader(next(part for part in get_args(hint) if part is not type(None)))
        return lambda cell: None if cell in ("", "unknown") else inner(cell)
    if hint is bool:
        return FLAGS.__getitem__
    if hint in (int, float, str):
        plain: Callable[[str], Any] = hint
        return plain
    if get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in get_args(hint)}
        return choices.__getitem__
    if get_origin(hint) in (tuple, frozenset):
        container, item = get_origin(hint), _reader(get_args(hint)[0])
        return lambda cell: container(item(part) for part in cell.split(";") if part)
    raise TypeError(f"no reader for {hint}")


@cache
def _readers(record: type[Struct]) -> tuple[tuple[str, Callable[[str], Any]], ...]:
    """Each field of a record, and how its cell is read."""
    hints = get_type_hints(record)
    return tuple((name, _reader(hints[name])) for name in record.__struct_fields__)


class Table:
    """One CSV file: header and raw rows. Taking a line apart and converting it cost more than reading it: both on demand."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        header, *self._lines = path.read_bytes().decode().splitlines()
        self.header = next(csv.reader((header,)))

    @cached_property
    def rows(self) -> list[list[str]]:
        """Every row, cell by cell."""
        return list(csv.reader(self._lines))

    @cached_property
    def _by_first(self) -> dict[str, list[str]]:
        lines: dict[str, list[str]] = {}
        for line in self._lines:
            lines.setdefault(line.partition(",")[0], []).append(line)
        return lines

    def of(self, first: str) -> list[list[str]]:
        """Raw rows with that value in the first column (a plain name); the other lines are not taken apart."""
        return list(csv.reader(self._by_first.get(first, ())))

    def lines(self, first: str) -> list[str]:
        """The same, as text."""
        return self._by_first.get(first, [])

    def firsts(self) -> tuple[str, ...]:
        """The values of the first column, in order."""
        return tuple(self._by_first)

    def records(self, record: type[Record], rows: list[list[str]] | None = None) -> Iterator[Record]:
        """The rows (all, or those given) as records. Columns that the record lacks are left aside. Raises FactError."""
        columns = [(self.header.index(name), read) for name, read in _readers(record)]
        for number, row in enumerate(self.rows if rows is None else rows, start=2):
            try:
                yield record(*[read(row[index]) for index, read in columns])
            except (ValueError, KeyError, IndexError) as error:
                raise FactError(f"{self.name}:{number}: {error}") from error

    def grouped(self, *columns: str) -> dict[tuple[str, ...], list[list[str]]]:
        """Raw rows by the values of those columns."""
        indexes = [self.header.index(column) for column in columns]
        groups: dict[tuple[str, ...], list[list[str]]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[index] for index in indexes), []).append(row)
        return groups


def _names(pattern: str, name: str) -> bool:
    """Whether a pattern of the tables, with one star at the most, stands for a name; far cheaper than a regular expression.

    >>> _names("c3-*-4", "c3-standard-4"), _names("c3-*-4", "c3-standard-44"), _names("c3-*", "c3-4")
    (True, False, True)
    """
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == name
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)


class Prices(Mapping[tuple[str, str, str], model.Price]):
    """(scope, region, kind) -> price of one item; a row becomes a record when it is asked for, few of the many are."""

    def __init__(self, table: Table, item: str, agreed: Mapping[tuple[str, str, str], model.Price]) -> None:
        self._table, self._made = table, dict(agreed)
        scope, region, kind = (table.header.index(name) for name in ("scope", "region", "kind"))
        listed = {(row[scope], row[region], row[kind]): row for row in table.of(item)}
        self._rows: dict[tuple[str, str, str], list[str]] = listed | {key: [] for key in agreed}

    def __getitem__(self, key: tuple[str, str, str]) -> model.Price:
        if key not in self._made:
            (self._made[key],) = self._table.records(model.Price, [self._rows[key]])
        return self._made[key]

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Catalog:
    """All facts, each table read on first use. Shared by all workloads of a run; nothing in it changes."""

    def __init__(self, folder: Path | None = None, agreed: model.AgreedPrices | None = None) -> None:
        self.folder = folder or DATA
        self.agreed = agreed or model.AgreedPrices()  # take the place of list prices
        self._priced: dict[str, Prices] = {}
        self._limited: dict[str, dict[str, model.DiskLimit]] = {}
        self._least: dict[tuple[str, str], float] = {}
        self._host_priced: dict[str, dict[tuple[str, str], model.HostPrice]] = {}
        self._service_priced: dict[str, tuple[model.ServicePrice, ...]] = {}
        self._placed: dict[str, tuple[model.Zone, ...]] = {}

    def table(self, name: str) -> Table:
        """The raw table of that name, without the ending."""
        return Table(self.folder / f"{name}.csv")

    def _by_name(self, name: str, record: type[Record], key: str = "name") -> dict[str, Record]:
        return {getattr(row, key): row for row in self.table(name).records(record)}

    @cached_property
    def accelerators(self) -> dict[str, model.Accelerator]:
        """Chips by name, the offered and the merely known."""
        return self._by_name("accelerators", model.Accelerator)

    @cached_property
    def other_accelerators(self) -> dict[str, model.OtherAccelerator]:
        """Chips that cannot be had here, by name."""
        return self._by_name("other_accelerators", model.OtherAccelerator)

    @cached_property
    def machines(self) -> dict[str, model.MachineType]:
        """Machine types with their accelerators, by name."""
        return self._by_name("machine_types", model.MachineType)

    @cached_property
    def fabrics(self) -> dict[str, model.Fabric]:
        """Networks for accelerator traffic, by name."""
        return self._by_name("fabrics", model.Fabric)

    @cached_property
    def regions(self) -> dict[str, model.Region]:
        """Regions by name."""
        return self._by_name("regions", model.Region)

    @cached_property
    def models(self) -> dict[str, model.ModelCard]:
        """Published models by name."""
        return self._by_name("models", model.ModelCard)

    def accelerators_called(self, name: str) -> frozenset[str]:
        """Names of the accelerators that somebody may mean by ``name``, its family, type in the API or alias; case and
        punctuation do not count. Several where a family comes in several sizes; empty where there is none."""
        return self._accelerators_by_word.get(folded(name), frozenset())

    @cached_property
    def _accelerators_by_word(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for chip in self.accelerators.values():
            for word in (chip.name, chip.family, chip.terraform_type, *chip.aliases):
                if word:
                    found[folded(word)] = found.get(folded(word), frozenset()) | {chip.name}
        return found

    def machines_with(self, accelerator: str) -> tuple[str, ...]:
        """Names of the machine types that have an accelerator, however its name is written."""
        chips = self.accelerators_called(accelerator)
        return tuple(one.name for one in self.machines.values() if one.accelerator in chips)

    def is_accelerator_machine(self, machine_type: str) -> bool:
        """Whether machines of that type come with accelerators."""
        found = self.machines.get(machine_type)
        return found is not None and found.has_accelerator

    @cached_property
    def topologies(self) -> tuple[model.Topology, ...]:
        """Shapes of TPU slices."""
        return tuple(self.table("topologies").records(model.Topology))

    @cached_property
    def storage_services(self) -> dict[str, model.StorageService]:
        """Storage services and tiers by id."""
        return self._by_name("storage_services", model.StorageService, "id")

    @cached_property
    def hyperdisk_support(self) -> dict[tuple[str, str], str]:
        """(storage series, disk type) -> ``yes``, ``no`` or ``ask`` (the vendor's account team)."""
        table = self.table("hyperdisk_support")
        support = table.header.index("support")
        return {
            (series, disk): rows[0][support] for (series, disk), rows in table.grouped("series", "disk_type").items()
        }

    @cached_property
    def disk_limits(self) -> tuple[model.DiskLimit, ...]:
        """Limits of disk types on machine types, the special before the general."""
        found = self.table("disk_limits").records(model.DiskLimit)
        return tuple(sorted(found, key=lambda one: (-len(one.machines.replace("*", "")), one.machines)))

    def disk_limits_of(self, machine_type: str) -> Mapping[str, model.DiskLimit]:
        """Disk type -> its limit on a machine type, of those that the tables know."""
        if machine_type not in self._limited:
            fitting = (one for one in reversed(self.disk_limits) if _names(one.machines, machine_type))
            self._limited[machine_type] = {one.disk_type: one for one in fitting}
        return self._limited[machine_type]

    @cached_property
    def image_families(self) -> tuple[model.ImageFamily, ...]:
        """Public images to start from."""
        return tuple(self.table("image_families").records(model.ImageFamily))

    @cached_property
    def confidential(self) -> dict[tuple[str, str], model.Confidential]:
        """(machine type, technology) -> how it is sold, of the types with confidential computing."""
        return {
            (one.machine_type, one.technology): one for one in self.table("confidential").records(model.Confidential)
        }

    @cached_property
    def operating_systems(self) -> dict[str, model.OperatingSystem]:
        """Operating systems of images, by name."""
        return self._by_name("operating_systems", model.OperatingSystem)

    @cached_property
    def driver_branches(self) -> dict[int, model.DriverBranch]:
        """Branches of the accelerator driver, by number."""
        return {row.branch: row for row in self.table("driver_branches").records(model.DriverBranch)}

    @cached_property
    def accelerator_drivers(self) -> dict[str, model.AcceleratorDriver]:
        """The driver branches that know a chip, by its name."""
        return self._by_name("accelerator_drivers", model.AcceleratorDriver, "accelerator")

    @cached_property
    def image_software(self) -> tuple[model.ImageSoftware, ...]:
        """What may go into an image that is built, in the order in which it is installed."""
        return tuple(self.table("image_software").records(model.ImageSoftware))

    @cached_property
    def image_files(self) -> tuple[model.ImageFile, ...]:
        """Files that may go into an image that is built."""
        return tuple(self.table("image_files").records(model.ImageFile))

    @cached_property
    def image_repositories(self) -> dict[str, model.ImageRepository]:
        """Where packages of an image come from, by id."""
        return self._by_name("image_repositories", model.ImageRepository, "id")

    @cached_property
    def image_builders(self) -> tuple[model.ImageBuilder, ...]:
        """Machine types to build images on."""
        return tuple(self.table("image_builders").records(model.ImageBuilder))

    @cached_property
    def quotas(self) -> dict[tuple[str, str], model.Quota]:
        """(kind, of what) -> quota metric."""
        return {(one.kind, one.of): one for one in self.table("quotas").records(model.Quota)}

    @cached_property
    def disputes(self) -> dict[tuple[str, str], model.Dispute]:
        """(series, consumption model) -> what sources disagree about."""
        return {(one.series, one.model): one for one in self.table("disputes").records(model.Dispute)}

    def workload_policy(self, machine: model.MachineType) -> model.WorkloadPolicy | None:
        """What a workload policy for groups of the machine type holds; None where they take none."""
        found = self._workload_policies.get(machine.series)
        return found if found and (not found.machine_types or machine.name in found.machine_types) else None

    @cached_property
    def _workload_policies(self) -> dict[str, model.WorkloadPolicy]:
        return self._by_name("workload_policies", model.WorkloadPolicy, "series")

    @cached_property
    def host_machines(self) -> dict[str, model.HostMachine]:
        """General-purpose machine types by name."""
        table, _ = self._hosts
        return {row.name: row for row in table.records(model.HostMachine)}

    @cached_property
    def _hosts(self) -> tuple[Table, dict[tuple[str, ...], list[list[str]]]]:
        table = self.table("host_machines")
        return table, table.grouped("series")

    def hosts(self, series: str) -> tuple[model.HostMachine, ...]:
        """General-purpose machine types of one series."""
        table, groups = self._hosts
        return tuple(table.records(model.HostMachine, groups.get((series,), [])))

    def series_zones(self, series: str) -> frozenset[str]:
        """Zones where general-purpose machines of a series are known: a series comes to a zone as a whole."""
        return self._series_zones.get(series, frozenset())

    @cached_property
    def _series_zones(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for host in self.host_machines.values():
            found.setdefault(host.series, set()).update(host.zones)
        return {series: frozenset(zones) for series, zones in found.items()}

    @cached_property
    def _zones(self) -> Table:
        return self.table("zones")

    def zones(self, machine_type: str) -> tuple[model.Zone, ...]:
        """The places where a machine type exists."""
        if machine_type not in self._placed:
            self._placed[machine_type] = tuple(self._zones.records(model.Zone, self._zones.of(machine_type)))
        return self._placed[machine_type]

    @cached_property
    def _prices(self) -> Table:
        return self.table("prices")

    def prices(self, item: str) -> Mapping[tuple[str, str, str], model.Price]:
        """(scope, region, kind) -> price, of a machine type, or of an accelerator's Terraform type (then per chip)."""
        if item not in self._priced:
            self._priced[item] = Prices(self._prices, item, self.agreed.machines(item))
        return self._priced[item]

    def least_price(self, item: str, kind: str) -> float:
        """Lowest price of that kind, of an hour of a whole machine or of one chip, in any region; 0.0 where none is in the table."""
        if (item, kind) not in self._least:
            scope, of_kind, usd = (self._prices.header.index(name) for name in ("scope", "kind", "usd_per_hour"))
            rows = (line.split(",") for line in self._prices.lines(item))
            listed = [float(row[usd]) for row in rows if row[of_kind] == kind and row[scope] != "machine_without_gpu"]
            agreed = [one.usd_per_hour for one in self.agreed.machines(item).values() if one.kind == kind]
            self._least[item, kind] = min((*listed, *agreed), default=0.0)
        return self._least[item, kind]

    @cached_property
    def _host_prices(self) -> Table:
        return self.table("host_prices")

    def host_prices(self, series: str) -> dict[tuple[str, str], model.HostPrice]:
        """(region, kind) -> price per vCPU and per GB, of a general-purpose series."""
        if series not in self._host_priced:
            rows = self._host_prices.records(model.HostPrice, self._host_prices.of(series))
            self._host_priced[series] = {(price.region, price.kind): price for price in rows}
        return self._host_priced[series]

    def least_host_price(self, host: model.HostMachine, kind: str) -> float:
        """Lowest price of that kind, of an hour of a general-purpose machine, in any region; 0.0 where none is in the tables."""
        rates = [one for (_, of_kind), one in self.host_prices(host.series).items() if of_kind == kind]
        summed = (host.vcpus * one.usd_per_vcpu_hour + host.memory_gib * one.usd_per_gb_hour for one in rates)
        return min(filter(None, (self.least_price(host.name, kind), *summed)), default=0.0)

    @cached_property
    def _service_prices(self) -> Table:
        return self.table("service_prices")

    def service_prices(self, item: str) -> tuple[model.ServicePrice, ...]:
        """Every price of a storage service, or of another thing that is billed and is no machine."""
        if item not in self._service_priced:
            rows = self._service_prices.records(model.ServicePrice, self._service_prices.of(item))
            self._service_priced[item] = (*self.agreed.services(item), *rows)
        return self._service_priced[item]

    @property
    def service_items(self) -> tuple[str, ...]:
        """Everything that is billed and is no machine."""
        return self._service_prices.firsts()

    @cached_property
    def tables(self) -> dict[str, dict[str, Any]]:
        """What is known about each table: title, key, date, source, and the tool that renews it; nothing of a folder that lacks it."""
        path = self.folder / "tables.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def service_price(self, item: str, unit: str, region: str, kind: str = "on_demand") -> model.ServicePrice | None:
        """Price of a unit in a region; of the one region whose price is known, where it is known of one alone; else None."""
        rows = [one for one in self.service_prices(item) if (one.unit, one.kind) == (unit, kind)]
        exact = next((one for one in rows if one.region in (region, EVERYWHERE)), None)
        return exact or (rows[0] if len({one.region for one in rows}) == 1 else None)
