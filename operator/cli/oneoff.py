"""One-off jobs of a tenant's own image, asked for by a command."""

from __future__ import annotations

import secrets

from skep.operator import names
from skep.operator.cli.view import View
from skep.operator.engine.spec import JobSpec, Service, pairs
from skep.operator.errors import UsageError
from skep.operator.reconcilers.record import Record


def running(view: View, name: str, part: names.Part = "web") -> Service:
    """The tenant's service. Raises UsageError if there is none yet."""
    service = view.service(names.service(view.tenant_named(name), part))
    if service is None and part == "worker":
        raise UsageError(
            f"tenant {name} has no worker of its own",
            remedy="its plan says `worker: {mode: child}`: ask without --worker",
        )
    if service is None:
        raise UsageError(
            f"tenant {name} has no service yet", remedy=f"`skep describe tenant {name}` says what it waits for"
        )
    return service


def job(verb: str, name: str, service: Service, record: Record, arguments: tuple[str, ...]) -> JobSpec:
    """A one-off job of the tenant's own image, with what its service is given."""
    spec = service.spec
    return JobSpec(
        name=names.job(name, verb, secrets.token_hex(8)),
        image=spec.image,
        args=arguments,
        labels=pairs({names.TENANT: name, names.UID: record.uid, names.KIND: "job"}),
        configs=spec.configs,
        secrets=spec.secrets,
        networks=(record.data_network,) if record.data_network in spec.networks else spec.networks,
        timeout_s=60.0,
    )
