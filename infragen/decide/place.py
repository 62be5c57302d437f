"""Where: the zones that have the machine, within what the workload allows."""

import difflib
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from infragen.decide.need import Machine, Need
from infragen.decide.rule import Miss, Narrowed, candidates, rule
from infragen.diagnostics import Diagnostics, declare
from infragen.facts.load import Catalog
from infragen.facts.model import Region

UNKNOWN_PLACE = declare(
    "R010",
    "place-unknown",
    """Name regions, zones and residencies that exist.

    Why: a misspelt region would silently empty the set of places.
    Example: `place: {regions: [europe-west44]}` is an error that suggests europe-west4.
    """,
    source="docs/facts.md",
)
ZONES_OF_A_GROUP = 3  # a regional group spreads over at most this many zones


class Site(Struct, frozen=True):
    """A region and its zones that have the machine. No zones: the tables know the region only."""

    region: Region
    zones: tuple[str, ...]


@lru_cache(maxsize=512)
def sites(catalog: Catalog, machine: Machine) -> tuple[Site, ...]:
    """Every region that has the machine, by name."""
    zones: dict[str, list[str]] = {}
    for place in catalog.zones(machine.record.name):
        if place.is_listed is not False:
            found = zones.setdefault(place.region, [])
            if place.zone:
                found.append(place.zone)
    if machine.host and not zones:  # a type that no table places is where its series has a price
        zones = {region: [] for region, _ in catalog.host_prices(machine.host.series) if region in catalog.regions}
    if not machine.record.has_accelerator:
        for zone in catalog.series_zones(machine.record.series):
            region = zone.rpartition("-")[0]
            if region in zones and zone not in zones[region]:
                zones[region].append(zone)
    if machine.host and machine.host.zones and machine.accelerator is None:
        zones = {}
        for zone in machine.host.zones:
            zones.setdefault(zone.rpartition("-")[0], []).append(zone)
        zones = {region: found for region, found in zones.items() if region in catalog.regions}
    elif machine.host and machine.host.zones:
        hosted = set(machine.host.zones)
        zones = {region: [zone for zone in found if zone in hosted] for region, found in zones.items()}
    return tuple(Site(catalog.regions[region], tuple(sorted(zones[region]))) for region in sorted(zones))


@rule("R001", "region-allowed", source="descriptor: place.regions")
def region_allowed(need: Need, site: Site) -> Miss | None:
    """Stay in the regions that the descriptor names.

    Why: data, users and contracts bind a workload to places; a cheaper region elsewhere is no answer.
    Example: `place: {regions: [europe-west4]}` rejects us-central1.
    """
    allowed = need.workload.place.regions
    if not allowed or site.region.name in allowed:
        return None
    return Miss(f"not among place.regions ({', '.join(allowed)})", path="place.regions")


@rule("R002", "residency-allowed", source="descriptor: place.residency")
def residency_allowed(need: Need, site: Site) -> Miss | None:
    """Stay in the jurisdiction that the descriptor names.

    Why: residency is a legal bound: `eu` is the member states of the European Union, which excludes London and Zürich.
    Example: `place: {residency: eu}` keeps europe-west4 and rejects europe-west2.
    """
    wanted = need.workload.place.residency
    if not wanted or is_resident(site.region, wanted):
        return None
    return Miss(f"lies in {site.region.location} ({site.region.country}), outside `{wanted}`", path="place.residency")


@rule("R003", "zone-allowed", source="descriptor: place.zones, capacity.zone")
def zone_allowed(need: Need, site: Site) -> Miss | None:
    """Have the machine in a zone that the descriptor names.

    Why: disks, zonal file systems and reservations are reachable from their own zone only.
    Example: `place: {zones: [europe-west4-b]}` rejects a machine that exists in europe-west4-a only.
    """
    wanted = named_zones(need)
    if not wanted:
        return None
    region_zones = [zone for zone in wanted if zone.rpartition("-")[0] == site.region.name]
    if not region_zones:
        return Miss(f"holds none of the zones {', '.join(wanted)}", path="place.zones")
    if site.zones and not set(region_zones) & set(site.zones):
        return Miss(f"not in {', '.join(region_zones)}; there in {', '.join(site.zones)}", 0, path="place.zones")
    return None


@rule("R004", "zone-known", source="https://docs.cloud.google.com/compute/docs/gpus/gpu-regions-zones")
def zone_known(need: Need, site: Site) -> Miss | None:
    """Choose only where the zone of the machine is known.

    Why: a group is created in zones; a guessed zone fails at apply. A zone that the descriptor names is taken as it is.
    Example: a type listed for a region without its zones is rejected there unless `place.zones` names one.
    """
    if site.zones or named_zones(need):
        return None
    because = f"offered in {site.region.name}, but its zones are not in the tables"
    return Miss(
        because,
        0.5,
        "name one in `place.zones`; `gcloud compute machine-types list` shows which have it",
        "place.zones",
    )


@rule("R005", "key-in-region", source="https://docs.cloud.google.com/kms/docs/locations")
def key_in_region(need: Need, site: Site) -> Miss | None:
    """Stay where the encryption key is.

    Why: disks, file systems and buckets of a region take keys of that region (disks also global ones); others are refused at
    apply.
    Example: a key in europe-west4 rejects us-central1.
    """
    key = need.workload.security.kms_key
    location = key.split("/")[3] if key else ""
    if location in ("", "global", site.region.name):
        return None
    return Miss(f"security.kms_key lies in {location}", path="security.kms_key")


RULES = (key_in_region, region_allowed, residency_allowed, zone_allowed, zone_known)


def is_resident(region: Region, residency: str) -> bool:
    """Whether a region lies in that group of countries, or in that country."""
    return residency.lower() in region.groups or residency.upper() == region.country


def named_zones(need: Need) -> tuple[str, ...]:
    """Zones that the descriptor names, for the group, through its reservation or for a store."""
    if need.workload.capacity.zone:
        return (need.workload.capacity.zone,)
    return tuple(need.workload.place.zones or _zones_of_stores(need))


def _zones_of_stores(need: Need) -> list[str]:
    """Zones that a store is to be reached from: there the machines are, where nothing else says where."""
    return list(dict.fromkeys(zone for entry in need.workload.storage for zone in entry.zones or ()))


def narrow(need: Need, machine: Machine) -> Narrowed[Site]:
    """The sites that this machine may use."""
    is_written = machine.accelerator is None or machine.accelerator.kind == "gpu"
    rules = RULES if is_written else tuple(one for one in RULES if one is not zone_known)  # no group, no zones
    return candidates(sites(need.catalog, machine)).by(rules, need)


def usable_zones(need: Need, site: Site) -> tuple[str, ...]:
    """The zones of a site that the group may use: those named, else all, by name."""
    named = [zone for zone in named_zones(need) if zone.rpartition("-")[0] == site.region.name]
    return tuple([zone for zone in named if not site.zones or zone in site.zones] or site.zones)


def group_zones(need: Need, site: Site, is_regional: bool) -> tuple[str, ...]:
    """The zones of the group: the first of those usable; one for a zonal group."""
    return usable_zones(need, site)[: ZONES_OF_A_GROUP if is_regional else 1]


def check_names(need: Need, diags: Diagnostics) -> None:
    """Errors for regions, zones and residencies that do not exist, with what was probably meant."""
    asked, at, regions = need.workload.place, need.workload.at, need.catalog.regions
    for index, name in enumerate(asked.regions or ()):
        if name not in regions:
            help = _suggest(name, regions)
            diags.add(
                UNKNOWN_PLACE.error(
                    f"unknown region `{name}`", at(f"place.regions.{index}"), "not in the catalogue", help
                )
            )
    zones = [(f"place.zones.{index}", zone) for index, zone in enumerate(asked.zones or ())]
    for number, entry in enumerate(need.workload.storage):
        zones += [(f"storage.{number}.zones.{index}", zone) for index, zone in enumerate(entry.zones or ())]
    if need.workload.capacity.zone:
        zones.append(("capacity.zone", need.workload.capacity.zone))
    for path, zone in zones:
        region, _, letter = zone.rpartition("-")
        known = _zones_of(need.catalog, region) if region in regions else frozenset()
        if zone not in known and (known or len(letter) != 1 or not letter.islower() or region not in regions):
            every = {one.zone for machine in need.catalog.machines for one in need.catalog.zones(machine) if one.zone}
            diags.add(
                UNKNOWN_PLACE.error(f"unknown zone `{zone}`", at(path), "not in the catalogue", _suggest(zone, every))
            )
    if asked.residency:
        groups = {group for region in regions.values() for group in region.groups}
        countries = {region.country for region in regions.values()}
        if asked.residency.lower() not in groups and asked.residency.upper() not in countries:
            known_places = f"{', '.join(f'`{one}`' for one in sorted(groups))} or one of {', '.join(sorted(countries))}"
            diags.add(
                UNKNOWN_PLACE.error(
                    f"no region is in `{asked.residency}`",
                    at("place.residency"),
                    "not a residency",
                    f"use {known_places}",
                )
            )


@lru_cache(maxsize=256)
def _zones_of(catalog: Catalog, region: str) -> frozenset[str]:
    """Every zone of the region that any machine is known in."""
    accelerated = {one.zone for machine in catalog.machines for one in catalog.zones(machine) if one.zone}
    general = {zone for host in catalog.host_machines.values() for zone in host.zones}
    return frozenset(zone for zone in accelerated | general if zone.rpartition("-")[0] == region)


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return (
        f"did you mean {' or '.join(f'`{one}`' for one in close)}?"
        if close
        else "`infragen catalog regions` lists them"
    )
