"""Commands that more than one step of the README gives: planning, places, addresses, ssh."""

import shlex

from infragen.lower.gce import storage
from infragen.lower.gce.context import Context
from infragen.lower.knowledge import know

PROJECT = "${CLOUDSDK_CORE_PROJECT}"  # set by the first step, and read by gcloud itself
APPLY = ("terraform plan -out=tfplan", "terraform apply tfplan")
BUILD = ("packer init image", "packer validate image", "packer build image")
OWN_VALUES = "own.auto.tfvars"
OWN_BUCKET = "MY-BUCKET"
PROJECT_NUMBER = 'PROJECT_NUMBER="$(gcloud projects describe "$CLOUDSDK_CORE_PROJECT" --format="value(projectNumber)")"'


def apply_with(*values: tuple[str, str]) -> tuple[str, ...]:
    """Plan and apply with other values of variables. An exported TF_VAR_… would rank below terraform.tfvars.

    >>> apply_with(("machines", "8"))[0]
    "terraform plan -var='machines=8' -out=tfplan"
    """
    given = " ".join(f"-var='{name}={value}'" for name, value in values)
    return (f"terraform plan {given} -out=tfplan", APPLY[1])


def keep(*lines: str) -> str:
    """How a value outlives the command that gave it."""
    written = ", ".join(f"`{line}`" for line in lines)
    return (
        f"`-var` holds for one plan only: write {written} into `{OWN_VALUES}` as well, a file of your own that ranks above"
        " `terraform.tfvars`, or the next plan takes the change back."
    )


def where(context: Context) -> str:
    """The flag that says where the group is."""
    region = context.plan.location.choice.region.name
    return f"--region={region}" if context.is_regional else f"--zone={context.zones[0]}"


def group(context: Context, verb: str, *flags: str) -> str:
    """A command about the managed instance group."""
    return " ".join(("gcloud compute instance-groups managed", verb, context.name(), where(context), *flags))


def ssh(context: Context, machine: str, command: str, zone: str = "") -> str:
    """A command on a machine, through Identity-Aware Proxy; in the first zone unless another is named."""
    return f"gcloud compute ssh {machine} --zone={zone or context.zones[0]} {TUNNEL} --command={shlex.quote(command)}"


TUNNEL = "--tunnel-through-iap"


def bucket_url(context: Context, purpose: str) -> str:
    """The address of a bucket that this stack creates."""
    name = context.name(purpose, storage.BUCKET, know("project_id_max") + 1)
    return f"gs://{PROJECT}-{name}"


def account(context: Context) -> str:
    """E-mail of the account that the machines run as."""
    return f"{context.name(kind='google_service_account')}@{PROJECT}.iam.gserviceaccount.com"


def let_read(context: Context, bucket: str) -> str:
    """The grant that lets the machines read a bucket that the plan does not know."""
    return (
        f"gcloud storage buckets add-iam-policy-binding gs://{bucket}"
        f' --member="serviceAccount:{account(context)}" --role={know("roles", "read_objects")}'
    )
