"""How machines are obtained: a golden for every pair that exists, and each complaint about such tools as a property of all output."""

import pytest

from infragen.decide.capacity import CALENDAR_MAX_CPU_VMS, CALENDAR_MAX_GPU_VMS, is_bound, offered
from infragen.units import DAY_S
from infragen.verify import hcl
from infragen.verify.module import modules
from infragen.verify.policy.view import Scope, View, is_true
from tests.examples import CATALOG, EXAMPLES, ROOT, compile_file
from tests.examples import compiled as example
from tests.test_cases import CASES
from tests.test_cases import compiled as case

WAYS = {
    "on-demand": ("on-demand",),
    "spot": ("spot",),
    "reservation": ("reservation made", "reservation that exists"),
    "future-reservation": ("future-reservation",),
    "calendar": ("calendar",),
    "flex-start": ("flex-start resize-request", "flex-start bulk"),
}
GROUPS = ("google_compute_instance_group_manager", "google_compute_region_instance_group_manager")
SCALERS = ("google_compute_autoscaler", "google_compute_region_autoscaler")
REQUESTS = ("google_compute_resize_request", "google_compute_region_resize_request")
RUNS = [*((example, name) for name in EXAMPLES), *((case, name) for name in CASES)]


def way(choice) -> str:
    """A consumption model, and which of its ways."""
    if choice.model == "reservation":
        return "reservation made" if choice.creates else "reservation that exists"
    return f"{choice.model} {choice.mode}" if choice.mode else choice.model


def test_every_pair_of_family_and_model_has_its_golden():
    """A new row of the machine table, or a new flag in one, demands a descriptor in tests/cases."""
    wanted = set()
    for record in CATALOG.machines.values():
        chip = CATALOG.accelerators.get(record.accelerator or "")
        if chip and chip.kind != "gpu":
            continue  # sized only: no Terraform is written for it yet
        for model, ways in WAYS.items():
            for one in ways:
                if offered(CATALOG, record, model, creates=one == "reservation made") is not False:
                    wanted.add((record.series, one))
    plans = [case(name).plan for name in CASES]
    shown = {(plan.machine.choice.record.series, way(plan.capacity.choice)) for plan in plans}
    assert wanted - shown == set(), "write tests/cases/capacity-<family>-<model>.yaml, then: make golden"


def test_what_sources_disagree_about_is_said():
    """A cell that is unknown says why."""
    for record in CATALOG.machines.values():
        for model in ("on-demand", "spot", "calendar", "flex-start"):
            if offered(CATALOG, record, model) is None:
                assert CATALOG.disputes[record.series, model].why, (record.name, model)


class Output:
    """The Terraform of one run, read back."""

    def __init__(self, run):
        files = [hcl.parse(path, run.files[path])[0] for path in ("main.tf", "capacity.tf") if path in run.files]
        (module,) = modules(files)
        scope = Scope(module, CATALOG.is_accelerator_machine)
        self.views = [View(scope, one.file, one.block, one.block) for one in module.resources.values()]
        self.plan = run.plan
        self.templates = self.of("google_compute_instance_template")
        (self.template,) = (one for one in self.templates if one.address.endswith(".main"))
        (self.group,) = self.of(*GROUPS)
        self.scheduling = self.template.first("scheduling")
        self.model = self.scheduling.value("provisioning_model")
        affinity = self.template.first("reservation_affinity")
        self.affinity = affinity.value("type") if affinity else None
        self.update = self.group.first("update_policy")

    def of(self, *types):
        return [one for one in self.views if one.type in types]

    def has(self, *path):
        return self.group.first(*path) is not None


@pytest.fixture(scope="module", params=RUNS, ids=lambda one: one[1])
def output(request):
    compiled, name = request.param
    return Output(compiled(name))


def test_machines_say_how_they_are_bought_and_maintained(output):
    """Nothing is left to the provider, whose defaults are a migration and a restart."""
    assert output.model in ("STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND")
    assert output.scheduling.value("automatic_restart") in (True, False)
    has_accelerators = output.plan.machine.choice.accelerator is not None
    maintained = output.scheduling.value("on_host_maintenance")
    assert (
        maintained == "TERMINATE"
        if has_accelerators or output.model != "STANDARD"
        else maintained in ("MIGRATE", "TERMINATE")
    )


def test_a_second_version_is_bought_like_the_first(output):
    """The template of a canary differs in its image alone."""
    for other in output.templates:
        assert other.first("scheduling").value("provisioning_model") == output.model
        affinity = other.first("reservation_affinity")
        assert (affinity.value("type") if affinity else None) == output.affinity
        run, first = (one.first("scheduling", "max_run_duration") for one in (other, output.template))
        assert (run and run.number("seconds")) == (first and first.number("seconds"))


def test_the_model_is_the_one_that_was_chosen(output):
    """No flex-start that became on-demand, no machine on demand that nobody can buy."""
    choice, record = output.plan.capacity.choice, output.plan.machine.choice.record
    assert offered(CATALOG, record, choice.model, creates=choice.model == "reservation" and choice.creates) is not False
    bound = choice.model == "calendar" or (choice.model in ("reservation", "future-reservation") and is_bound(record))
    expected = {"spot": "SPOT", "flex-start": "FLEX_START"}.get(
        choice.model, "RESERVATION_BOUND" if bound else "STANDARD"
    )
    assert output.model == expected


def test_flex_start_states_its_terms(output):
    if output.model != "FLEX_START":
        return
    terms = output.scheduling
    assert terms.value("instance_termination_action") == "DELETE"
    assert terms.value("on_host_maintenance") == "TERMINATE"
    assert terms.value("automatic_restart") is False
    assert 600 <= terms.first("max_run_duration").number("seconds") <= 7 * DAY_S
    assert output.affinity == "NO_RESERVATION"
    assert output.group.value("wait_for_instances") is False
    assert output.group.first("instance_lifecycle_policy").value("default_action_on_failure") == "DO_NOTHING"
    assert output.update.value("type") == "OPPORTUNISTIC"
    assert not output.of(*SCALERS)
    assert not output.has("auto_healing_policies")
    assert output.template.value("resource_policies") is None
    requests, is_bulk = output.of(*REQUESTS), output.has("target_size_policy")
    assert len(requests) == (0 if is_bulk else 1)
    assert (output.group.value("target_size") is not None) == is_bulk
    for request in requests:
        asked = request.first("requested_run_duration").number("seconds")
        assert asked == terms.first("max_run_duration").number("seconds")


def test_spot_never_restarts_and_never_holds_a_reservation(output):
    if output.model == "SPOT":
        assert output.scheduling.value("automatic_restart") is False
        assert output.affinity == "NO_RESERVATION"
        assert output.scheduling.value("instance_termination_action") in ("DELETE", "STOP")
    assert is_true(output.scheduling.value("preemptible")) == (output.model == "SPOT")


def test_only_what_ends_has_an_end(output):
    run = output.scheduling.first("max_run_duration")
    assert output.model != "RESERVATION_BOUND" or run is None
    ends = run is not None or output.model in ("SPOT", "RESERVATION_BOUND")
    assert (output.scheduling.value("instance_termination_action") is not None) == ends


def test_machines_bound_to_a_reservation_name_it(output):
    if output.model == "RESERVATION_BOUND":
        assert output.affinity == "SPECIFIC_RESERVATION"
    affinity = output.template.first("reservation_affinity")
    named = affinity.first("specific_reservation") if affinity else None
    assert (named is not None) == (output.affinity == "SPECIFIC_RESERVATION")
    if named is not None:
        assert named.value("key") == "compute.googleapis.com/reservation-name"
        assert len(named.value("values")) == 1


def test_who_uses_a_reservation_has_no_placement_beside_it(output):
    """But racks, which are asked for in the topology that they have."""
    if output.affinity not in ("SPECIFIC_RESERVATION", "ANY_RESERVATION"):
        return
    assert output.template.value("resource_policies") is None
    for policy in output.of("google_compute_resource_policy"):
        assert policy.first("group_placement_policy") is None
        assert policy.first("workload_policy").value("accelerator_topology")


def test_a_placement_is_attached_where_its_kind_belongs(output):
    for policy in output.of("google_compute_resource_policy"):
        is_workload = policy.first("workload_policy") is not None
        assert is_workload != (policy.first("group_placement_policy") is not None)
        assert (output.template.block.body.attributes.get("resource_policies") is None) == is_workload
        assert output.has("resource_policies") == is_workload
        if is_workload:
            assert CATALOG.workload_policy(output.plan.machine.choice.record)


def test_a_reservation_is_of_the_machines_that_use_it(output):
    """Type, attached accelerators and attached local disks are equal, or nothing is found."""
    bookings = [one.first("specific_reservation") for one in output.of("google_compute_reservation")]
    bookings += [one.first("specific_sku_properties") for one in output.of("google_compute_future_reservation")]
    attached = [(one.value("type"), one.number("count")) for one in output.template.all("guest_accelerator")]
    disks = [one for one in output.template.all("disk") if one.value("type") == "SCRATCH"]
    for booking in bookings:
        machine = booking.first("instance_properties")
        assert machine.value("machine_type") == output.template.value("machine_type")
        booked = [
            (one.value("accelerator_type"), one.number("accelerator_count"))
            for one in machine.all("guest_accelerators")
        ]
        assert booked == attached
        assert len(machine.all("local_ssds")) == len(disks)


def test_a_booking_is_a_draft_until_it_is_submitted_and_then_guarded(output):
    for request in output.of("google_compute_future_reservation"):
        choice, record = output.plan.capacity.choice, output.plan.machine.choice.record
        assert request.block.body.attributes["provider"].value.root == "google-beta"
        assert request.value("planning_status") == ("SUBMITTED" if choice.submit else "DRAFT")
        assert request.value("reservation_name") == choice.reservation
        assert request.value("name_prefix") is None
        assert is_true(request.lifecycle("prevent_destroy")) == choice.submit
        assert (request.value("deletion_policy") == "ABANDON") == choice.submit
        window = request.first("time_window")
        assert window.value("start_time").endswith("Z")
        assert window.value("end_time").endswith("Z")
        assert window.first("duration") is None
        count = request.first("specific_sku_properties").number("total_count")
        most = CALENDAR_MAX_GPU_VMS if record.has_accelerator else CALENDAR_MAX_CPU_VMS
        assert choice.model != "calendar" or count <= most
        assert count % (record.topology_unit_vms or 1) == 0


def test_a_group_that_comes_at_once_can(output):
    if not output.has("target_size_policy"):
        return
    assert output.model in ("FLEX_START", "RESERVATION_BOUND")
    assert not output.of(*SCALERS)
    assert output.group.first("instance_lifecycle_policy").value("default_action_on_failure") == "DO_NOTHING"
    if output.group.type == GROUPS[1]:
        assert output.group.value("distribution_policy_target_shape") == "ANY_SINGLE_ZONE"
        assert output.update.value("instance_redistribution_type") == "NONE"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_other_place_that_is_printed_takes_effect(name):
    """`--set` with the setting of an alternative gives a plan in exactly those zones, with the same machines."""
    plan = example(name).plan
    for other in plan.location.alternatives:
        run = compile_file(ROOT / "examples" / name / "workload.yaml", (other.setting,))
        assert not run.diagnostics.has_errors, other.setting
        assert f"place.zones=[{', '.join(run.plan.location.choice.zones)}]" == other.setting
        assert run.plan.machine.choice.type == plan.machine.choice.type


def test_other_zones_of_one_zone_are_named_first():
    """A group in one zone can move to the next without leaving its region."""
    plan = compile_file(ROOT / "tests" / "cases" / "capacity-a3-high-spot.yaml").plan
    region, zones = plan.location.choice.region.name, plan.location.choice.zones
    others = [one.candidate for one in plan.location.alternatives]
    near = [one for one in others if one.startswith(f"{region}-")]
    assert zones[0] not in others
    assert others[: len(near)] == near
    for other in plan.location.alternatives[:4]:
        run = compile_file(ROOT / "tests" / "cases" / "capacity-a3-high-spot.yaml", (other.setting,))
        assert run.plan.location.choice.zones == (other.candidate,)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_other_model_that_is_printed_compiles_or_has_said_what_it_takes(name):
    for other in example(name).plan.capacity.alternatives:
        run = compile_file(ROOT / "examples" / name / "workload.yaml", (other.setting,))
        errors = [one for one in run.diagnostics if one.severity.value == "error"]
        assert other.needs
        assert {one.code for one in errors} <= {"C004", "C008", "D050", "N103"}, [one.message for one in errors]
