"""The command line: the only place that reads files, knows exit codes, prints, and catches `CompileError`.

Heavy modules are imported by the command that needs them: `infragen schema` must not pay for a compiler, and what
`plan` pays for is most of what it takes.
"""

import gc
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infragen import __version__

if TYPE_CHECKING:
    from infragen.descriptor.source import Source
    from infragen.diagnostics import Diagnostic, Diagnostics
    from infragen.facts.load import Catalog
    from infragen.pipeline import Compilation
    from infragen.render.comparison import Comparison
    from infragen.render.report import Report

# Plugins that watch pydantic validate are of no use here; looking for them reads the metadata of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
gc.disable()  # a run makes few cycles and ends soon; collecting while modules load costs a tenth of a cold plan

OK, FAILED, USAGE = 0, 1, 2
SHARD = 8  # descriptors that one process takes at a time
SUBJECTS = ("machines", "accelerators", "models", "regions", "prices", "storage", "images", "rules")


class Named(click.Path):
    """A path, and no empty text: that would be the current directory, and is a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the name is empty, like a variable that is not set", param, ctx)
        return super().convert(value, param, ctx)


TODAY = click.option(
    "--today", type=click.DateTime(["%Y-%m-%d"]), hidden=True, help="The date that checks of windows use."
)
ENV = click.option(
    "--env", "overlays", multiple=True, metavar="FILE", help="Merge FILE over the descriptor; may be repeated."
)
SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one value, for example place.zones=[europe-west4-a].",
)


PRICES = click.option(
    "--prices",
    metavar="FILE",
    help="Negotiated prices: a CSV with item, region and usd, that take the place of list prices.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="infragen")
def main() -> None:
    """Compile what an AI workload is into Terraform for Google Cloud, with the reason for every choice."""


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--out",
    type=Named(path_type=Path),
    metavar="DIR",
    help="Write the Terraform into DIR (into DIR/NAME for several files).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    default="text",
    show_default=True,
    help="What to print: a screen, the record, a comment for a pull request, or a page that needs nothing else.",
)
@ENV
@SET
@click.option(
    "--templates",
    type=Named(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Templates that take the place of infragen's own.",
)
@PRICES
@click.option("--check", is_flag=True, help="Exit 1 if DIR is not what would be written; write nothing.")
@TODAY
@click.pass_context
def plan(
    context: click.Context,
    files: tuple[str, ...],
    out: Path | None,
    form: str,
    overlays: tuple[str, ...],
    settings: tuple[str, ...],
    templates: Path | None,
    prices: str | None,
    check: bool,
    today: datetime | None,
) -> None:
    """Decide, explain and verify; with --out also show what changes in DIR and write it."""
    from infragen import emit, record, write

    if check and out is None:
        raise click.UsageError("--check compares with a directory: add --out DIR")
    catalog, problems = _catalog(prices)
    texts = emit.load_templates(templates, problems)
    if form == "json" and out is None:
        context.exit(FAILED if _print_records(files, overlays, settings, catalog, texts, today, problems) else OK)
    runs: Iterable[Any] = (_compile(file, overlays, settings, catalog, texts, today, problems) for file in files)
    if out is not None:
        runs = _with_names_of_their_own(files, list(runs))  # nothing is written before all names are known
    failed, reports = False, []
    for run in runs:
        target = out if out is None or len(files) == 1 else out / run.name
        before = _plan_in(target)
        changes: tuple[write.Change, ...] | None = None
        if target is not None and not run.diagnostics.has_errors:
            changes = _deliver(run, target, check)
        differs = check and any(change.kind != "unchanged" for change in changes or ())
        failed = failed or run.diagnostics.has_errors or differs
        if form == "json":
            found = (None, None, None) if run.diagnostics.has_errors else (run.plan, run.stack, run.files)
            _print_bytes(json.dumps(record.record(run.name, run.diagnostics, *found), ensure_ascii=False) + "\n")
            continue
        _print_diagnostics(run.diagnostics)
        comparison = _compared(run, before)
        if form == "text":
            _print_plan(run, target, changes or (), comparison, check)
        else:
            reports.append(_report(run, changes, comparison))
    if reports:
        _print_page(form, reports)
    context.exit(FAILED if failed else OK)


def _print_records(files: tuple[str, ...], *how: Any) -> bool:
    """One record a line, in the order of the files; whether any has errors.

    The first file warms tables, templates and schema; many files are then shared out to as many processes as there are
    processors, which inherit all that.
    """
    first, others = files[:SHARD], files[SHARD:]
    lines, failed = _records(first, how)
    _print_bytes(lines)
    workers = min(os.cpu_count() or 1, len(others) // SHARD)
    if workers < 2 or not hasattr(os, "fork"):
        parts: Iterable[tuple[str, bool]] = [_records(others, how)]
    else:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        shards = [others[start : start + SHARD] for start in range(0, len(others), SHARD)]
        with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
            parts = list(pool.map(_records, shards, [how] * len(shards)))
    for lines, has_errors in parts:
        _print_bytes(lines)
        failed = failed or has_errors
    return failed


def _records(files: tuple[str, ...], how: tuple[Any, ...]) -> tuple[str, bool]:
    """The records of these files, a line each, and whether any has errors."""
    from infragen import record

    lines, failed = [], False
    for file in files:
        run = _compile(file, *how)
        found = (None, None, None) if run.diagnostics.has_errors else (run.plan, run.stack, run.files)
        lines.append(json.dumps(record.record(run.name, run.diagnostics, *found), ensure_ascii=False) + "\n")
        failed = failed or run.diagnostics.has_errors
    return "".join(lines), failed


def _with_names_of_their_own(files: tuple[str, ...], runs: "list[Compilation]") -> "list[Compilation]":
    """The runs, if no two would be written into the same directory."""
    taken: dict[str, str] = {}
    for file, run in zip(files, runs, strict=True):
        if run.plan is not None and taken.setdefault(run.name, file) != file:
            raise click.UsageError(f"{taken[run.name]} and {file} have the same name, `{run.name}`: write them apart")
    return runs


def _compile(
    file: str,
    overlays: Iterable[str],
    settings: Iterable[str],
    catalog: "Catalog",
    templates: Any,
    today: datetime | None,
    problems: "Diagnostics",
) -> "Compilation":
    """One descriptor through the whole line; a file that cannot be read is a compilation with that diagnostic.

    ``problems``: what is wrong with the table of prices and the templates; with errors among them nothing is compiled.
    """
    from infragen import pipeline

    if problems.has_errors:
        return pipeline.Compilation(problems, Path(file).stem)
    diags, source = _read(file, overlays, settings)
    run = pipeline.Compilation(diags, Path(file).stem)
    if source is not None:
        run = pipeline.compile_workload(source, catalog, templates, _now(today))
    run.diagnostics.extend(problems)
    return run


def _now(today: datetime | None) -> datetime:
    """The date that was given, the same in every time zone; else the system's."""
    return today.replace(tzinfo=UTC) if today else datetime.now(UTC)


def _catalog(prices: str | None) -> "tuple[Catalog, Diagnostics]":
    """The facts, with the prices of that file in the place of list prices; and what is wrong with it."""
    from infragen.diagnostics import Diagnostics
    from infragen.facts.load import Catalog

    listed, diags = Catalog(), Diagnostics()
    if prices is None:
        return listed, diags
    from infragen import inputs
    from infragen.facts import agreed

    try:
        text = inputs.text(prices, agreed.MAX_BYTES)
    except (OSError, ValueError) as error:
        diags.add(agreed.AGREED.error(f"`{prices}` cannot be read: {inputs.why(error)}", help="name a CSV file"))
        return listed, diags
    return Catalog(agreed=agreed.read(prices, text, listed, diags)), diags


def _read(file: str, overlays: Iterable[str], settings: Iterable[str]) -> tuple["Diagnostics", "Source | None"]:
    from infragen.descriptor.source import read
    from infragen.diagnostics import CompileError, Diagnostics

    diags = Diagnostics()
    try:
        return diags, read(file, diags, tuple(overlays), tuple(settings))
    except CompileError:
        return diags, None


def _deliver(run: "Compilation", target: Path, check: bool) -> tuple[Any, ...]:
    """What changes in the directory; written unless this is a check. Findings join those of the run."""
    from infragen import write
    from infragen.decide.stage import NOT_LOWERED, NOT_LOWERED_HELP
    from infragen.diagnostics import CompileError
    from infragen.verify import losses

    if run.files is None:
        run.diagnostics.add(
            NOT_LOWERED.error(
                "nothing to write: this machine is sized, but no Terraform can be made for it yet",
                help=NOT_LOWERED_HELP,
            )
        )
        return ()
    try:
        files = write.with_manifest(run.files)
        before, after = write.terraform(target, files)
        allowed = run.plan.may_lose if run.plan else ()
        run.diagnostics.extend(losses.check(before, after, str(target), allowed))
        run.diagnostics.raise_if_errors()
        changes = write.differences(files, target)
        if not check:
            write.write(files, target, run.diagnostics)
        return changes
    except CompileError:
        return ()


def _plan_in(target: Path | None) -> str | None:
    """The plan record that was written into the directory last."""
    from infragen import inputs, write
    from infragen.pipeline import PLAN_FILE

    if target is None or not os.path.isfile(target / PLAN_FILE):  # noqa: PTH113 - False where it may not be looked at
        return None
    try:
        return inputs.text(target / PLAN_FILE, write.MAX_BYTES)
    except OSError:
        return ""


def _compared(run: "Compilation", before: str | None) -> "Comparison | None":
    """The difference between the plan that was there and this one."""
    from infragen.pipeline import PLAN_FILE

    if before is None or run.files is None or run.diagnostics.has_errors:
        return None
    from infragen.render import comparison

    return comparison.compare(before, run.files[PLAN_FILE])


def _print_plan(
    run: "Compilation",
    target: Path | None,
    changes: tuple[Any, ...],
    comparison: "Comparison | None",
    check: bool,
) -> None:
    from infragen.render import text

    if run.diagnostics.has_errors or run.plan is None:
        return
    click.echo(text.plan(run.plan, _colours(sys.stdout)), nl=False)
    if target is not None:
        if comparison and not comparison.is_empty:
            click.echo("\nsince the last plan")
            click.echo(text.comparison(comparison), nl=False)
        click.echo(f"\n{'compared with' if check else 'written to'} {target}")
        click.echo(text.changes(changes), nl=False)


def _report(run: "Compilation", changes: tuple[Any, ...] | None, comparison: "Comparison | None") -> "Report":
    from infragen.render import report

    return report.build(run, changes, comparison)


def _print_page(form: str, reports: "list[Report]") -> None:
    """All reports as one document."""
    if form == "html":
        from infragen.render import html

        document = html.page(reports)
    else:
        from infragen.render import markdown

        document = markdown.comment(reports)
    _print_bytes(document)


def _print_bytes(document: str) -> None:
    """What programs read, in UTF-8 whatever the terminal speaks."""
    sys.stdout.buffer.write(document.encode())
    sys.stdout.buffer.flush()


def _print_diagnostics(found: "Iterable[Diagnostic]") -> None:
    """Findings on stderr, and a line that counts them."""
    from infragen.diagnostics import Severity
    from infragen.render import diagnostics as render

    listed = list(found)
    for one in listed:
        click.echo(render.text(one, _colours(sys.stderr)), err=True)
    errors = sum(one.severity is Severity.ERROR for one in listed)
    if errors:
        warnings = sum(one.severity is Severity.WARNING for one in listed)
        click.echo(render.summary(errors, warnings), err=True)


def _colours(stream: Any) -> bool:
    """Colour on a terminal, unless NO_COLOR is set."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR")


@main.command()
@click.argument("target", metavar="FILE|RULE-ID")
@click.argument("subject", required=False)
@click.argument("alternative", required=False)
@ENV
@SET
@PRICES
@TODAY
@click.pass_context
def explain(
    context: click.Context,
    target: str,
    subject: str | None,
    alternative: str | None,
    overlays: tuple[str, ...],
    settings: tuple[str, ...],
    prices: str | None,
    today: datetime | None,
) -> None:
    """Say why a choice was made, why an alternative was not, or what a rule or a diagnostic code means.

    SUBJECT is machine, capacity, location, storage.PURPOSE, image, group or platform.
    """
    from infragen import emit, pipeline, write  # noqa: F401  (they enter every rule in the catalogue)
    from infragen.diagnostics import CATALOGUE
    from infragen.facts import agreed  # noqa: F401  (as above)
    from infragen.render import text

    id = target.upper()
    if subject is None and id in CATALOGUE:
        click.echo(text.rule(id), nl=False)
        return
    if subject is None and not os.path.exists(target) and id[:1].isalpha() and id[1:].isdigit():  # noqa: PTH110 - a name too long is no file either
        raise click.UsageError(f"`{id}` is not a rule; `infragen catalog rules` lists them")
    facts, problems = _catalog(prices)
    run = _compile(target, overlays, settings, facts, emit.load_templates(None), today, problems)
    _print_diagnostics(one for one in run.diagnostics if one.severity.value != "note")
    if run.plan is None:
        context.exit(FAILED)
    try:
        with_it = facts.machines_with(alternative) if alternative and subject == "machine" else ()
        click.echo(text.explain(run.plan, subject, alternative, with_it), nl=False)
    except KeyError as unknown:
        raise click.UsageError(unknown.args[0]) from None


@main.command()
@click.argument("directory", type=Named(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
@click.pass_context
def check(context: click.Context, directory: Path, form: str) -> None:
    """Verify any directory of Terraform for Google Cloud: syntax, provider schema, policies; Packer files in it too."""
    from infragen import record, verify
    from infragen.diagnostics import CATALOGUE, Diagnostics
    from infragen.facts.load import Catalog
    from infragen.fileset import FileSet

    diags = Diagnostics()
    texts = _terraform_files(directory, diags)
    verify.run(FileSet(texts), diags, Catalog().is_accelerator_machine)
    if form == "json":
        _print_bytes(json.dumps({"diagnostics": [record.diagnostic(one) for one in diags]}, ensure_ascii=False) + "\n")
    elif form == "sarif":
        from infragen.render import sarif

        _print_bytes(json.dumps(sarif.sarif(diags, CATALOGUE), ensure_ascii=False) + "\n")
    else:
        _print_diagnostics(diags)
        if not len(diags):
            click.echo(f"{len(texts)} files, nothing found")
    context.exit(FAILED if diags.has_errors else OK)


def _terraform_files(directory: Path, diags: "Diagnostics") -> dict[str, str]:
    """The Terraform files of a root module and the Packer files in it and below ``image``, by path; those that are not UTF-8
    text are reported.
    """
    from infragen import inputs
    from infragen.verify import JSON, MAX_BYTES, READ, UNREADABLE

    texts: dict[str, str] = {}
    try:
        found = sorted((*directory.iterdir(), *directory.glob("image/*.pkr.hcl")))
    except OSError as error:
        diags.add(UNREADABLE.error(f"`{directory}` cannot be read: {inputs.why(error)}", help="change its rights"))
        return texts
    for path in found:
        if not path.name.endswith(READ) or path.is_dir():  # Terraform passes over these too
            continue
        name = path.relative_to(directory).as_posix()
        try:
            texts[name] = inputs.text(path, MAX_BYTES)
        except (OSError, ValueError) as error:
            help = "save it as UTF-8, change its rights, or move it out of the module: Terraform reads it too"
            diags.add(UNREADABLE.error(f"`{name}` cannot be read: {inputs.why(error)}", help=help))
    if all(name.endswith(JSON) for name in texts) and not diags.has_errors:
        kind = "no Terraform files but such in JSON" if texts else "no Terraform files"
        diags.add(UNREADABLE.error(f"`{directory}` holds {kind}", help="name the directory of a root module"))
    return texts


@main.command()
def schema() -> None:
    """Print the JSON Schema of the descriptor, for editors."""
    from infragen.descriptor.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@click.argument("file", type=Named(path_type=Path), default="workload.yaml", metavar="[FILE]")
@click.option("--task", default="serve", show_default=True, help="The task to start from.")
@click.pass_context
def init(context: click.Context, file: Path, task: str) -> None:
    """Write a commented descriptor to start from; never over an existing file."""
    from infragen.descriptor.template import TASKS, starter

    if task not in TASKS:
        raise click.UsageError(f"`{task}` is not a task; choose from {', '.join(TASKS)}")
    try:
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(starter(task))
    except FileExistsError:
        click.echo(f"{file} exists; nothing was written", err=True)
        context.exit(FAILED)
    except OSError as error:
        click.echo(f"{file} cannot be written: {error.strerror}", err=True)
        context.exit(FAILED)
    click.echo(f"wrote {file}; next: infragen plan {file}")


class Subjects(click.Group):
    """A command per subject, made when it is called: what it can be asked stands with the tables."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBJECTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _ask(cmd_name) if cmd_name in SUBJECTS else None


@main.group(cls=Subjects)
def catalog() -> None:
    """Query the facts: rows that hold all WORDS and pass all filters, with date, sources and confidence."""


def _ask(subject: str) -> click.Command:
    """The command that answers questions about one subject."""
    from infragen.render import catalog as render

    about = render.SUBJECTS[subject]
    options: list[click.Parameter] = [
        click.Option(
            [f"--{name}"],
            is_flag=one.is_flag,
            help=one.help,
            metavar=None if one.is_flag else name.upper().replace("-", "_"),
        )
        for name, one in about.filters.items()
    ]
    forms = {"text": render.text, "json": render.as_json, "csv": render.as_csv}

    def answer(words: tuple[str, ...], form: str, sort: str, descending: bool, **asked: Any) -> None:
        from infragen.facts.load import Catalog

        if subject == "rules":
            from infragen import pipeline, write  # noqa: F401  (they enter every rule in the catalogue)
        filters = {
            name: asked[name.replace("-", "_")]
            for name in about.filters
            if asked[name.replace("-", "_")] not in (None, False)
        }
        try:
            found = render.ask(Catalog(), subject, words, filters, sort, descending)
        except render.UnknownValueError as unknown:
            _print_diagnostics(unknown.diagnostics)
            click.get_current_context().exit(FAILED)
        click.echo(forms[form](found), nl=form == "json")

    return click.Command(
        subject,
        params=[
            click.Argument(["words"], nargs=-1),
            *options,
            click.Option(["--sort"], default="", metavar="COLUMN", help="Sort by this column."),
            click.Option(["--descending"], is_flag=True, help="Largest first."),
            click.Option(["--format", "form"], type=click.Choice(list(forms)), default="text", show_default=True),
        ],
        callback=answer,
        help=f"{about.help} WORDS keep the rows that hold all of them.",
    )
