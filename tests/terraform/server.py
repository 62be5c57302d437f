"""The stand-in itself: google and google-beta as two servers within this process, over plugin protocol 6.

Takes calls of Terraform's core. Gives what the provider's SDK would, as far as the schema decides it.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from typing import Any, TypeAlias

import grpc
from tf.gen import tfplugin_pb2 as pb

from infragen.facts import provider_schema
from tests.terraform import apply, check, plan, schema, values
from tests.terraform.table import Arguments, Provider, entry

PROVIDERS: tuple[Provider, ...] = ("google", "google-beta")
_Message: TypeAlias = Any  # the request or response of the call that a method is named after
_Context: TypeAlias = grpc.ServicerContext
_ADDRESS = "registry.terraform.io/hashicorp/"
_CALLS_AT_ONCE = 10  # Terraform's own default parallelism


class StandIn:
    """Both providers, listening on the loopback address until `stop`."""

    def __init__(self) -> None:
        self._services = {provider: _Service(provider) for provider in PROVIDERS}
        self._servers = [grpc.server(futures.ThreadPoolExecutor(_CALLS_AT_ONCE)) for _ in PROVIDERS]
        self._ports: dict[Provider, int] = {}
        for server, (provider, service) in zip(self._servers, self._services.items(), strict=True):
            server.add_generic_rpc_handlers((service.handlers(),))
            self._ports[provider] = server.add_insecure_port("127.0.0.1:0")
            server.start()

    def serve(self, types: Iterable[str]) -> None:
        """From now on offer these resource and data source types only: a tenth of the time of offering all."""
        for service in self._services.values():
            service.types = frozenset(types)

    def environment(self) -> dict[str, str]:
        """The variable by which Terraform finds the servers; every command needs it."""
        found = {
            _ADDRESS + provider: {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,  # else Terraform would end this process when it is done
                "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
            }
            for provider, port in self._ports.items()
        }
        return {"TF_REATTACH_PROVIDERS": json.dumps(found)}

    def stop(self) -> None:
        """End both servers."""
        for server in self._servers:
            server.stop(grace=None).wait()


class _Service:
    """One provider. A configuration belongs to the connection that sent it: aliases and parallel runs stay apart."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._serial = itertools.count(1)
        self._settings: dict[str, Mapping[str, values.Value]] = {}
        self.types: frozenset[str] = frozenset()

    def handlers(self) -> grpc.GenericRpcHandler:
        """The protocol's calls; their names are what the methods below are called by."""
        calls: dict[str, Callable[[_Message, _Context], _Message]] = {
            "ValidateProviderConfig": self._validate_provider,
            "ValidateResourceConfig": self._validate_resource,
            "ValidateDataResourceConfig": self._validate_data_source,
            "UpgradeResourceState": self._upgrade,
            "ConfigureProvider": self._configure,
            "ReadResource": self._read,
            "PlanResourceChange": self._plan,
            "ApplyResourceChange": self._apply,
            "ImportResourceState": self._import,
            "ReadDataSource": self._read_data_source,
            "StopProvider": self._stop,
        }
        # The schema goes out as the bytes that were kept, not as a message to serialise again.
        table = {"GetProviderSchema": grpc.unary_unary_rpc_method_handler(self._schema)}
        for name, call in calls.items():
            message = getattr(pb, name)
            table[name] = grpc.unary_unary_rpc_method_handler(
                call, message.Request.FromString, message.Response.SerializeToString
            )
        return grpc.method_handlers_generic_handler("tfplugin6.Provider", table)

    def _schema(self, request: bytes, context: _Context) -> bytes:
        return schema.response(self._provider, self.types)

    def _arguments(self, kind: provider_schema.Kind, name: str) -> Arguments:
        found = entry(self._provider, kind, name)
        assert found is not None, f"{self._provider} was asked for {name}, which its schema does not offer"
        return found.arguments

    def _settings_of(self, context: _Context) -> Mapping[str, values.Value]:
        return self._settings.get(context.peer(), {})

    def _validate_provider(self, request: _Message, context: _Context) -> _Message:
        (name,) = provider_schema.names("provider")
        found = check.objections(self._arguments("provider", name), values.decode(request.config))
        return pb.ValidateProviderConfig.Response(diagnostics=map(_diagnostic, found))

    def _validate_resource(self, request: _Message, context: _Context) -> _Message:
        arguments = self._arguments("resource", request.type_name)
        found = check.objections(arguments, values.decode(request.config))
        return pb.ValidateResourceConfig.Response(diagnostics=map(_diagnostic, found))

    def _validate_data_source(self, request: _Message, context: _Context) -> _Message:
        arguments = self._arguments("data_source", request.type_name)
        found = check.objections(arguments, values.decode(request.config))
        return pb.ValidateDataResourceConfig.Response(diagnostics=map(_diagnostic, found))

    def _upgrade(self, request: _Message, context: _Context) -> _Message:
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=request.raw_state.json))

    def _configure(self, request: _Message, context: _Context) -> _Message:
        self._settings[context.peer()] = values.decode(request.config)
        return pb.ConfigureProvider.Response()

    def _read(self, request: _Message, context: _Context) -> _Message:
        return pb.ReadResource.Response(new_state=request.current_state, private=request.private)

    def _plan(self, request: _Message, context: _Context) -> _Message:
        arguments = self._arguments("resource", request.type_name)
        prior, config = values.decode(request.prior_state), values.decode(request.config)
        after = plan.planned(arguments, config, prior, self._settings_of(context))
        forced = [] if prior is None else plan.replacements(arguments, prior, after)
        return pb.PlanResourceChange.Response(
            planned_state=values.encode(after),
            requires_replace=map(_path, forced),
            planned_private=request.prior_private,
            legacy_type_system=True,  # the provider's SDK is the older one: the core allows what only that one does
        )

    def _apply(self, request: _Message, context: _Context) -> _Message:
        planned, prior = values.decode(request.planned_state), values.decode(request.prior_state)
        if planned is None:
            return self._delete(request, prior)
        arguments = self._arguments("resource", request.type_name)
        # A new resource never gets the generated name of an old one.
        unique = f"{next(self._serial):026d}"
        after = apply.applied(request.type_name, arguments, planned, self._settings_of(context), unique)
        return pb.ApplyResourceChange.Response(
            new_state=values.encode(after), private=request.planned_private, legacy_type_system=True
        )

    def _delete(self, request: _Message, prior: values.Block) -> _Message:
        guard = apply.guard(prior)
        if not guard:
            return pb.ApplyResourceChange.Response(new_state=request.planned_state, legacy_type_system=True)
        refusal = check.Objection((guard,), "the resource is guarded", f"`{guard}` forbids to delete it")
        return pb.ApplyResourceChange.Response(
            new_state=request.prior_state, legacy_type_system=True, diagnostics=[_diagnostic(refusal)]
        )

    def _stop(self, request: _Message, context: _Context) -> _Message:
        return pb.StopProvider.Response()  # every call ends by itself soon enough

    def _import(self, request: _Message, context: _Context) -> _Message:
        refusal = check.Objection((), "nothing to import", "the stand-in knows no resource but those it made itself")
        return pb.ImportResourceState.Response(diagnostics=[_diagnostic(refusal)])

    def _read_data_source(self, request: _Message, context: _Context) -> _Message:
        arguments = self._arguments("data_source", request.type_name)
        config = values.decode(request.config)
        settings = self._settings_of(context)
        asked = plan.planned(arguments, config, None, settings)
        # What is found must be the same each time that the same is asked for.
        unique = hashlib.sha256(request.config.msgpack).hexdigest()[:26]
        found = apply.applied(request.type_name, arguments, asked, settings, unique)
        return pb.ReadDataSource.Response(state=values.encode(found))


def _path(path: plan.Path) -> pb.AttributePath:
    steps = [
        pb.AttributePath.Step(element_key_int=step)
        if isinstance(step, int)
        else pb.AttributePath.Step(attribute_name=step)
        for step in path
    ]
    return pb.AttributePath(steps=steps)


def _diagnostic(found: check.Objection) -> pb.Diagnostic:
    return pb.Diagnostic(
        severity=pb.Diagnostic.ERROR, summary=found.summary, detail=found.detail, attribute=_path(found.path)
    )
