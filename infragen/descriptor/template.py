"""The commented descriptors that `infragen init` starts from.

Every commented line is a valid line of its section once its `# ` is taken away: a test does so.
"""

_HEAD = """\
# yaml-language-server: $schema=./infragen.schema.json
# Write that file with `infragen schema > infragen.schema.json`, and your editor completes and explains every key.
# Everything but version, name and task may be left out: it is then decided, and `infragen explain` says why.

version: 1
name: {name}  # lower case, at most 40 characters; every cloud name derives from it
task: {task}  # pretrain | finetune | serve | batch-inference | data-prep | compute
# project: my-project  # else a Terraform variable
# labels: {{team: research, cost-center: "4711"}}
"""
_MODEL = """
model:
  name: {model}  # see `infragen catalog models`; or config: ./config.json, or the numbers
  # precision: {precision}  # fp32 | bf16 | fp16 | fp8 | int8 | int4 | mxfp4 | nvfp4
"""
_SERVE = """
serve:
  input_tokens: 2000  # a typical prompt
  output_tokens: 500  # a typical answer
  # max_context_tokens: 8192  # the longest prompt and answer together
  requests_per_second: 4  # at peak; or concurrent_requests
  # ttft_ms: 1500  # time to the first token, milliseconds
  # tpot_ms: 50  # time per token after the first, milliseconds
  # replicas: {min: 2, max: 8}
  # expose: internal  # none | internal | external
  # model_updates: never  # never | weekly | daily
"""
_BATCH = """
serve:
  input_tokens: 2000  # a typical prompt
  output_tokens: 500  # a typical answer
  requests: 1e6  # in all
  # deadline: 12h
"""
_TRAIN = """
train:
  tokens: {tokens}  # in all, epochs included
  # method: {method}  # full | lora | qlora
  # sequence_length: 8192
  # global_batch_tokens: {batch}
  # deadline: {deadline}
  # checkpoint: {{every: 30m, keep: 3}}
"""
_DATA = """
data:
  size: 40TiB
  # file_size: 64MiB  # a typical file
  # source: gs://bucket/prefix
  # posix: basic  # none | basic | full
  # access: read-mostly  # read-only | read-mostly | read-write
"""
_GIVEN_MACHINE = """
machine:
  count: 4
  min_vcpus: 32
  # min_memory: 128GiB
"""
_MACHINE = """
# machine:
#   count: 4
#   accelerators_per_node: 8
#   min_accelerator_memory: 80GiB
"""
_TAIL = """
# run:  # without it, and without an image of your own, the machines start nothing
#   container: europe-docker.pkg.dev/my-project/images/program:v1
#   command: [python, main.py]

# capacity:
#   model: on-demand  # on-demand | spot | reservation | future-reservation | calendar | flex-start

place:
  # regions: [europe-west4, europe-west1]
  # residency: eu
  optimise: cost  # cost | carbon | balanced

# network:
#   create: true  # or network: main-vpc, subnetwork: main-subnet
#   range: 10.20.0.0/16

# limits:
#   usd_per_hour: 120
#   kg_co2e: 2000
"""
_LARGE_MODEL = "meta-llama/Llama-3.1-70B-Instruct"
_SMALL_MODEL = "meta-llama/Llama-3.1-8B"

_BODIES: dict[str, str] = {
    "pretrain": _MODEL.format(model=_SMALL_MODEL, precision="bf16")
    + _TRAIN.format(tokens="200e9", method="full", batch="4e6", deadline="21d")
    + _DATA
    + _MACHINE,
    "finetune": _MODEL.format(model=_SMALL_MODEL, precision="bf16")
    + _TRAIN.format(tokens="50e6", method="lora", batch="131072", deadline="12h")
    + _MACHINE,
    "serve": _MODEL.format(model=_LARGE_MODEL, precision="fp8") + _SERVE + _MACHINE,
    "batch-inference": _MODEL.format(model=_SMALL_MODEL, precision="bf16") + _BATCH + _DATA + _MACHINE,
    "data-prep": _DATA + _GIVEN_MACHINE,
    "compute": _GIVEN_MACHINE,
}
TASKS = tuple(_BODIES)


def starter(task: str, name: str | None = None) -> str:
    """A descriptor of ``task`` (one of `TASKS`) with comments, ready to be compiled as it is. Raises KeyError."""
    body = _BODIES[task]
    return _HEAD.format(task=task, name=name or f"my-{task}") + body + _TAIL
