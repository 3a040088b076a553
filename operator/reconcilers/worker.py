"""The worker: a second service beside the site's, for tenants whose plan says so. The same image, files and secrets.

It follows the site: a new image is proven by people's requests first. It has no route and no health check, since
nothing asks it anything, and one task: what it does is claimed row by row in the database.
"""

from __future__ import annotations

from dataclasses import replace

from skep.crds.effective import EffectiveWorker
from skep.operator import names
from skep.operator.engine.spec import Resources, Service, ServiceSpec, UpdatePolicy, pairs
from skep.operator.loop.registry import DONE, Result, Wait
from skep.operator.reconcilers import app, secret
from skep.operator.reconcilers import drift as drifts
from skep.operator.reconcilers.app import CreateService, UpdateService, owner_labels
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants
from skep.operator.reconcilers.waiting import why

FINISH_S = 30.0  # what it has at hand may finish; what may not is claimed again
# Another task beside the old one would want connections that the tenant does not have. One that does not stay up is
# started again and again, and told; going back to an old image under a new site would help nobody.
UPDATE = UpdatePolicy(order="stop-first", failure_action="continue", monitor_s=15.0)
LOOK_AGAIN_S = 0.5


def desire(record: Record, worker: EffectiveWorker, site: ServiceSpec) -> ServiceSpec:
    """*site* is the spec that the tenant's site should have."""
    spec = ServiceSpec(
        name=names.service(record.name, "worker"),
        image=site.image,
        args=("worker",),
        labels=pairs(owner_labels(record)),
        configs=site.configs,
        secrets=site.secrets,
        networks=site.networks,  # mail leaves by the same ways
        replicas=0 if record.spec.suspend else 1,
        resources=Resources(worker.cpus, worker.memory_bytes),
        update=UPDATE,
        stop_grace_s=FINISH_S,
    )
    revision = app.revision_of(spec)
    return replace(
        spec,
        env=pairs({"SKEP_REVISION": revision}),
        labels=pairs({**owner_labels(record), names.REVISION: revision}),
    )


def plan(desired: ServiceSpec, observed: Service | None) -> tuple[CreateService | UpdateService, ...]:
    """() when converged. Raises TerminalError if a service of our name is not this tenant's."""
    if observed is None:
        return (CreateService(desired),)
    if dict(observed.spec.labels).get(names.UID) != dict(desired.labels)[names.UID]:
        raise app.not_ours(desired.name)
    because = app.drift(desired, observed.spec)
    return (UpdateService(observed.id, observed.version, desired, because),) if because else ()


@tenants.reconciler("worker", after=("judge",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    world = ports.world
    name = names.service(subject.name, "worker")
    observed, site = world.service(name), world.service(names.service(subject.name))
    if record.spec.worker is None:
        if observed is not None and dict(observed.spec.labels).get(names.UID) == record.uid:
            await world.remove_service(observed.id)
        return DONE
    if site is None:
        return DONE  # the judge waits for it
    desired = desire(record, record.spec.worker, site.spec)
    if actions := plan(desired, observed):
        drifted = observed is not None and drifts.is_settled(subject, secret.mounts(record))
        await app.apply(actions, record, world)
        if drifted:
            drifts.repaired("worker", ("service",))
        observed = world.service(name)
    if observed is None or desired.replicas == 0:
        return DONE
    tasks = await world.engine.list_tasks(service=observed.id) if observed.running < 1 else ()
    if observed.running < 1 and not any(task.state == task.wanted == "running" for task in tasks):
        cause = why(observed, tasks, ports.clock.now())
        return Wait(cause.reason, f"the site answers, its worker does not run: {cause}", LOOK_AGAIN_S)
    return DONE
