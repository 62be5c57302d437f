"""Judge Terraform text.

Takes the files of one directory or several, and whether a machine type has accelerators. Gives findings: syntax,
provider schema, references, policies. Promises to change nothing, and to say nothing about files that are no HCL.
A directory that also declares things as JSON is told of that, and spared the references: not all declarations are known.
"""

from collections.abc import Callable

from infragen.diagnostics import Diagnostics
from infragen.fileset import FileSet
from infragen.verify import hcl, packer, policy, references, schema
from infragen.verify.model import File
from infragen.verify.module import directory, modules
from infragen.verify.reading import JSON, not_read

_TERRAFORM = (".tf", ".tfvars")
_HCL = (*_TERRAFORM, ".hcl")


def run(files: FileSet, diags: Diagnostics, is_accelerator_machine: Callable[[str], bool]) -> None:
    """Report all that is wrong with ``files``. Where one cannot be read, the rest of its directory is not judged."""
    read: list[File] = []
    mixed = {directory(path) for path in files if path.endswith(JSON)}
    unreadable: set[str] = set()
    for path, text in files.items():
        if path.endswith(JSON):
            diags.extend(not_read(path, text))
        if path.endswith(_HCL):
            file, errors = hcl.parse(path, text)
            diags.extend(errors)
            if errors:
                unreadable.add(directory(path))
            if path.endswith(_TERRAFORM):
                read.append(file)
            elif path.endswith(packer.SUFFIX) and not errors:
                diags.extend(packer.check(file))
    for module in modules(file for file in read if directory(file.path) not in unreadable):
        known = schema.providers(module.files)
        for file in (*module.files, *module.value_files):
            diags.extend(schema.check(file, known))
        if module.directory not in mixed:
            diags.extend(references.check(module))
        diags.extend(policy.run(module, is_accelerator_machine))
