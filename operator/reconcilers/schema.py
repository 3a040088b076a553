"""The schema: before an app is updated, a one-off job of its image brings the tenant's database up to date.

A failure leaves the old app alone and is not tried again until the image or the declaration changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from skep.operator import names
from skep.operator.engine.spec import Image, JobSpec, Mount, pairs
from skep.operator.errors import TerminalError, TransientError
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import app, secret
from skep.operator.reconcilers.database.template import key_of
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants


def desire(record: Record, file: app.AppFile, image: Image, *, timeout_s: float) -> JobSpec | None:
    """The job that is still owed; None if this image already brought the schema up to date.

    Its name comes from what it does, so a second operator finds the first one's job instead of doubling it.
    """
    if record.schema == key_of(image):
        return None
    run = hashlib.sha256(f"{key_of(image)} {record.generation} {file.name}".encode()).hexdigest()
    return JobSpec(
        name=names.job(record.name, "schema", run),
        image=image.pinned,
        args=("schema",),
        labels=pairs({**app.owner_labels(record), names.KIND: "job"}),
        configs=(Mount(file.name, app.SETTINGS_FILE),),
        secrets=secret.mounts(record)[:1],
        networks=(record.data_network,),
        timeout_s=timeout_s,
    )


def failure_key(record: Record, image: Image) -> str:
    return f"{key_of(image)} {record.generation}"


@tenants.reconciler("schema", after=("database",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    image = await ports.images.resolve(record.spec.image)
    file = app.settings_file(record, subject.platform, ports.settings, ports.world.service(names.service(subject.name)))
    job = desire(record, file, image, timeout_s=ports.settings.job_deadline_s)
    if job is None:
        return DONE
    remedy = "the old version keeps serving; change the image or the declaration to try again"
    if record.schema_failed == failure_key(record, image):
        said = record.schema_said or "no reason kept"
        raise TerminalError(f"the migration of {image.ref} failed: {said}", reason="SchemaFailed", remedy=remedy)
    result = await ports.world.engine.run_job(job)
    if result.exit_code is None:  # it never ran, so nothing says that the migration is wrong
        raise TransientError(
            f"the migration of {image.ref} could not start: {result.error.strip()[-300:] or 'no reason given'}",
            reason="JobNotStarted",
            retry_after_s=5.0,
        )
    if not result.ok:
        said = (result.error or result.output or "the job said nothing").strip()[-500:]
        await subject.save(replace(subject.known, schema_failed=failure_key(record, image), schema_said=said))
        raise TerminalError(f"the migration of {image.ref} failed: {said}", reason="SchemaFailed", remedy=remedy)
    await subject.save(replace(subject.known, schema=key_of(image), schema_failed="", schema_said=""))
    return DONE
