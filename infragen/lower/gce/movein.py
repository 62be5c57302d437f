"""Moving content into the stores, and copies of it out: exact commands, and how long they take at best."""

import shlex

from infragen.decide.model import StorageChoice
from infragen.lower import names
from infragen.lower.gce.commands import OWN_BUCKET, PROJECT, PROJECT_NUMBER, account, group, let_read, ssh
from infragen.lower.gce.context import Context
from infragen.lower.knowledge import know, store_kind
from infragen.lower.model import Step

FILLED = ("dataset", "weights")  # purposes whose content comes from elsewhere
NETWORK_SHARE = 0.5  # of a machine's network that copying from objects fills, see ST33 of the facts
NETWORK_GBPS = 10.0  # of a machine whose network the tables do not know


def steps(context: Context) -> list[Step]:
    """How each file system gets its content, once it and the machines are there."""
    found = []
    for decision in context.stores:
        choice = decision.choice
        kind = store_kind(choice.service.service)
        if choice.purpose not in FILLED or kind not in ("nfs", "parallel", "scratch"):
            continue
        source = choice.source or (context.plan.data_source if choice.purpose == "dataset" else None)
        if kind in know("import"):
            found.append(_import_step(context, choice, kind, source))
        else:
            found.append(_copy_step(context, choice, source))
            if choice.content_gib >= know("transfer_from_gib") and not choice.is_read_only:
                found.append(_transfer_step(context, choice, source))
    return found


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration(40), duration(1500), duration(30000), duration(400000)
    ('a minute', '25 min', '8.3 h', '4.6 days')
    """
    if seconds < 90:
        return "a minute"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def copy_seconds(context: Context, choice: StorageChoice, machines: int = 1) -> float:
    """Time to copy the content through machines: the least of their networks, the buckets' rate and the store's."""
    record = context.machine.record
    gbps = (record.network_gbps or NETWORK_GBPS) - context.machine.fabric.accelerator_gbps
    rates = [max(gbps, NETWORK_GBPS) * 1e9 / 8 / 2**20 * NETWORK_SHARE * machines, know("buckets_mib_s")]
    if choice.write_mib_s:
        rates.append(choice.write_mib_s)
    return float(choice.content_gib * 1024 / min(rates))


def _import_seconds(choice: StorageChoice, kind: str) -> float:
    """Time of the service's own import: its rate, the buckets' rate, the store's, and its number of files a second."""
    limits = know("import", kind)
    rate = min(limits["mib_s"], know("buckets_mib_s"), choice.write_mib_s or limits["mib_s"])
    files = choice.content_gib * 2**30 / choice.file_bytes if choice.file_bytes else 0
    return float(max(choice.content_gib * 1024 / rate, files / limits["files_s"] if "files_s" in limits else 0.0))


def how_long(choice: StorageChoice, seconds: float) -> str:
    """The expected time in a sentence."""
    if not choice.content_gib:
        return "How long it takes is not known, for the size of the content is not."
    return f"It takes {duration(seconds)} at best for {choice.content_gib:,.0f} GiB; many small files take longer."


def _folder(source: str | None) -> str:
    return f"{(source or f'gs://{OWN_BUCKET}/MY-FOLDER').rstrip('/')}/"


def _import_step(context: Context, choice: StorageChoice, kind: str, source: str | None) -> Step:
    """The service reads the bucket itself: no machine takes part."""
    type = know("types", kind)
    name, zone = context.name(choice.purpose, type), context.zones[0]
    bucket = _folder(source).removeprefix("gs://").partition("/")[0]
    agent = know("import_agents", kind).replace("PROJECT_NUMBER", "${PROJECT_NUMBER}")
    grant = (
        f"gcloud storage buckets add-iam-policy-binding gs://{bucket}"
        f' --member="serviceAccount:{agent}" --role={know("roles", "read_objects")}'
    )
    if kind == "parallel":
        load = f"gcloud lustre instances import-data {name} --location={zone} --gcs-path-uri={shlex.quote(_folder(source))} --lustre-path=/"
        watch = f"gcloud lustre operations list --location={zone}"
    else:
        load = (
            f"gcloud beta parallelstore instances import-data {name} --location={zone}"
            f" --source-gcs-bucket-uri={shlex.quote(_folder(source))} --destination-parallelstore-path=/"
        )
        watch = f"gcloud beta parallelstore operations list --location={zone}"
    text = (
        f"The service copies by itself, and copies again only what changed. {how_long(choice, _import_seconds(choice, kind))}"
        " Until the data is there, the program finds an empty folder: have it fail on that, and it is started again every 10 s."
    )
    return Step(
        title=f"Fill the store for {choice.purpose}",
        text=text,
        commands=(PROJECT_NUMBER, grant, f"{load} --async", watch),
    )


def _copy_step(context: Context, choice: StorageChoice, source: str | None) -> Step:
    copy = f"sudo gcloud storage rsync --recursive {shlex.quote(_folder(source).rstrip('/'))} {choice.mount}"
    if choice.is_read_only:  # it is mounted for reading; for the copy alone it is opened
        remount = f"sudo mount -o remount,{{}} {choice.mount}"
        copy = f"{remount.format('rw')} && {copy} && {remount.format('ro')}"
    text = (
        "From one of the machines, which copies as the account of all machines. The store exists only from the apply on,"
        " and the machines with it: until the data is there, the program finds an empty folder. Have it fail on that, and it"
        f" is started again every 10 s until the copy is done. {how_long(choice, copy_seconds(context, choice))}"
    )
    commands = (
        *(() if source else (let_read(context, OWN_BUCKET),)),
        group(context, "list-instances"),
        ssh(context, "MACHINE", copy),
    )
    return Step(title=f"Fill the store for {choice.purpose}", text=text, commands=commands)


def _transfer_step(context: Context, choice: StorageChoice, source: str | None) -> Step:
    """Several machines at once, by agents that share the files out."""
    pool = context.name(f"{choice.purpose}-transfer")
    machines = min(context.group.size, 4)
    install = (
        f"gcloud transfer agents install --pool={pool} --count=3 --mount-directories={choice.mount}"
        f" --id-prefix={context.name(choice.purpose)}"
    )
    commands = (
        "gcloud services enable storagetransfer.googleapis.com",
        f'gcloud projects add-iam-policy-binding "{PROJECT}"'
        f' --member="serviceAccount:{account(context)}" --role={know("roles", "transfer_agent")}',
        f"gcloud transfer agent-pools create {pool}",
        ssh(context, "MACHINE", f"sudo {install}"),
        f"gcloud transfer jobs create {shlex.quote(_folder(source))} posix://{choice.mount} --destination-agent-pool={pool}",
        "gcloud transfer jobs monitor JOB",
    )
    text = (
        "Instead of the copy above, for much data: agents of Storage Transfer Service on several machines share the files out,"
        f" check them, and go on where they were interrupted. Install them on {machines} machine{'s' if machines > 1 else ''}, in a container"
        f" engine that is there. {how_long(choice, copy_seconds(context, choice, machines))}"
    )
    return Step(title=f"Fill the store for {choice.purpose} from several machines", text=text, commands=commands)


def copies(context: Context) -> list[Step]:
    """Copies of what exists nowhere else: file systems guard against a plan, not against a mistake inside them."""
    region, zone = context.plan.location.choice.region.name, context.zones[0]
    found = []
    for decision in context.stores:
        choice = decision.choice
        kind = store_kind(choice.service.service)
        held = [
            choice.purpose,
            *(one.choice.purpose for one in context.plan.storage if one.choice.shared_with == choice.purpose),
        ]
        if choice.is_read_only or choice.purpose == "scratch" or kind not in ("nfs", "parallel"):
            continue
        title = f"Keep a copy of {' and '.join(held)}"
        if kind == "nfs":
            name = context.name(choice.purpose, know("types", "nfs"))
            share = names.plain(context.plan.name, choice.purpose, "file_share")
            where = f"--instance-location={region}" if choice.service.scope == "regional" else f"--instance-zone={zone}"
            command = (
                f'gcloud filestore backups create "{name}-$(date +%Y%m%d)" --instance={name} --file-share={share}'
                f" {where} --region={region}"
            )
            text = "A backup holds what changed since the one before, outlives the file share, and fills a new one. Have a scheduler run this every day."
            found.append(Step(title=title, text=text, commands=(command,)))
        else:
            agent = know("kms_agents", "parallel").replace("PROJECT_NUMBER", "${PROJECT_NUMBER}")
            grant = (
                f"gcloud storage buckets add-iam-policy-binding gs://{OWN_BUCKET}"
                f' --member="serviceAccount:{agent}" --role={know("roles", "write_objects")}'
            )
            export = (
                f"gcloud lustre instances export-data {context.name(choice.purpose, know('types', 'parallel'))} --location={zone}"
                f" --gcs-path-uri=gs://{OWN_BUCKET}/{context.plan.name}/ --lustre-path=/"
            )
            text = (
                "This file system lies in one zone and has no backups of its own. An export copies what changed into a bucket"
                " of the region; have a scheduler run it as often as work may be lost."
            )
            found.append(Step(title=title, text=text, commands=(PROJECT_NUMBER, grant, export)))
    return found
