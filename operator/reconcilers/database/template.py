"""Templates: databases that already hold an image's schema, so that a new tenant is a clone and not a migration.

Only an optimisation. A job of the image migrates a fresh database under another name; its answer tells the hash of
its migrations; the database is renamed to `skep_template_<hash>` when it is complete and closed to everybody. The
comment lists the images that are known to have exactly these migrations.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging

from skep.crds.platform import Platform
from skep.operator import names
from skep.operator.engine.spec import Image, JobSpec, Mount, pairs
from skep.operator.errors import NameTaken, NotFound, SkepError, TerminalError, TransientError
from skep.operator.keys import RootKey
from skep.operator.loop.clock import Clock
from skep.operator.reconcilers.database.catalog import Catalog
from skep.operator.reconcilers.database.plan import INVALID, TEMPLATE_ROLE, ident, literal
from skep.operator.reconcilers.database.servers import Server
from skep.operator.reconcilers.world import World
from skep.operator.settings import Settings

log = logging.getLogger(__name__)

PREFIX = "skep_template_"
BUILDER = "skep_builder"  # the login of the building job; it acts as the template role and reaches nothing else
TRY_AGAIN_S = 60.0  # after a build that failed


def key_of(image: Image) -> str:
    """What tells two contents apart: the digest where there is one, else the reference."""
    return image.digest or image.ref


def find(catalog: Catalog, image: Image) -> str | None:
    """The complete template that holds exactly the schema of *image*."""
    for name, database in sorted(catalog.databases.items()):
        if name.startswith(PREFIX) and key_of(image) in database.comment.get("images", ()):
            return name
    return None


class Templates:
    """Finds a template or starts building it; a build runs once however many tenants wait for it."""

    def __init__(self, world: World, keys: RootKey, clock: Clock, settings: Settings) -> None:
        self._world = world
        self._keys = keys
        self._clock = clock
        self._settings = settings
        self._builds: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._failed: dict[tuple[str, str], tuple[float, SkepError]] = {}
        self._alone = asyncio.Lock()  # two builds share roles, and a name if their images have the same migrations

    async def need(self, server: Server, image: Image, platform: Platform) -> str:
        """The template's name. Raises TransientError while it is built, and what the last build failed with."""
        if (name := find(await server.catalog(), image)) is not None:
            return name
        key = (server.spec.name, key_of(image))
        if (failed := self._failed.get(key)) is not None:
            pause = TRY_AGAIN_S if isinstance(failed[1], TerminalError) else 5.0
            if self._clock.monotonic() - failed[0] < pause:
                raise failed[1]
            del self._failed[key]
        if key not in self._builds:
            build = asyncio.create_task(self._guarded(key, server, image, platform), name=f"template {key_of(image)}")
            self._builds[key] = build
        await asyncio.wait({self._builds[key]}, timeout=2.0)
        if (name := find(await server.catalog(), image)) is not None:
            return name
        if (failed := self._failed.get(key)) is not None:
            raise failed[1]
        raise TransientError(
            f"a template with the schema of {image.ref} is being built", reason="TemplateBuilding", retry_after_s=0.2
        )

    async def close(self) -> None:
        for build in self._builds.values():
            build.cancel()
        await asyncio.gather(*self._builds.values(), return_exceptions=True)

    async def _guarded(self, key: tuple[str, str], server: Server, image: Image, platform: Platform) -> None:
        try:
            await self._build(server, image, platform)
        except SkepError as error:
            log.warning("template not built", extra={"image": image.ref, "error": str(error)})
            self._failed[key] = (self._clock.monotonic(), error)
        except Exception as error:  # nobody awaits this task: whoever needs the template must hear of it
            log.exception("template not built", extra={"image": image.ref})
            said = f"a template with the schema of {image.ref} could not be built: {type(error).__name__}: {error}"
            self._failed[key] = (self._clock.monotonic(), TransientError(said, reason="InternalError"))
        finally:
            self._builds.pop(key, None)

    async def _build(self, server: Server, image: Image, platform: Platform) -> None:
        work = f"skep_building_{hashlib.sha256(key_of(image).encode()).hexdigest()[:12]}"
        secret = await self._builder_secret()
        verifier = self._keys.verifier("platform", "builder")
        async with self._alone:
            await self._prepare(server, work, verifier)
        async with server.inside(work) as connection:
            await connection.execute("revoke all on schema public from public")
            await connection.execute(f"alter schema public owner to {ident(TEMPLATE_ROLE)}")
        try:
            hashed = await self._migrate(server, image, platform, work, secret)
        except TerminalError:
            await server.execute([f"drop database if exists {ident(work)} with (force)"])
            raise
        await self._publish(server, image, work, f"{PREFIX}{hashed[:16]}")
        log.info("template built", extra={"image": image.ref, "server": server.spec.name, "template": hashed[:16]})

    async def _prepare(self, server: Server, work: str, verifier: str) -> None:
        """An empty database *work* that the builder's role may fill."""
        catalog = await server.reread(frozenset({TEMPLATE_ROLE, BUILDER, work}))
        missing = [name for name in (TEMPLATE_ROLE, BUILDER) if name not in catalog.roles]
        # What an interrupted build left is gone on with: its job may still be running, and has this job's name.
        left = catalog.databases.get(work)
        create = [f"create database {ident(work)} template template0 connection limit 8"]
        if left is not None:
            create = [f"drop database {ident(work)}", *create] if left.limit == INVALID else []
        await server.execute(
            [
                *(f"create role {ident(name)} nologin" for name in missing),
                f"alter role {ident(BUILDER)} login connection limit 8 password {literal(verifier)}",
                f"grant {ident(TEMPLATE_ROLE)} to {ident(BUILDER)}",
                *create,
                f"alter database {ident(work)} with allow_connections true connection limit 8",
                f"revoke all on database {ident(work)} from public",
                f"grant connect, temporary on database {ident(work)} to {ident(TEMPLATE_ROLE)}",
                f"alter role {ident(BUILDER)} in database {ident(work)} set role = {literal(TEMPLATE_ROLE)}",
            ]
        )

    async def _migrate(self, server: Server, image: Image, platform: Platform, work: str, secret: str) -> str:
        """Run the image's schema job in *work*; the hash of its migrations."""
        host, port = self._settings.address(server.spec.host, server.spec.port)
        document = {
            "tenant": "template",
            "uid": hashlib.sha256(work.encode()).hexdigest()[:32],
            "displayName": "template",
            "secure": False,
            "proxies": [],
            "drainSeconds": 0,
            "database": {"host": host, "port": port, "name": work, "user": BUILDER, "poolMax": 1},
            "settings": {},
        }
        body = json.dumps(document, sort_keys=True).encode()
        config = names.settings("template", hashlib.sha256(body).hexdigest())
        with contextlib.suppress(NameTaken):
            await self._world.create_config(config, body, {names.KIND: "job"})
        job = JobSpec(
            name=names.job("template", "schema", hashlib.sha256(f"{server.spec.name} {work}".encode()).hexdigest()),
            image=image.pinned,
            args=("schema",),
            labels=pairs({names.KIND: "job"}),
            configs=(Mount(config, "settings.json"),),
            secrets=(Mount(secret, "database-password"),),
            networks=platform.spec.networks.data[:1],
            timeout_s=self._settings.job_deadline_s,
        )
        result = await self._world.engine.run_job(job)
        with contextlib.suppress(SkepError):
            if (made := self._world.config(config)) is not None:
                await self._world.remove_config(made.id)
        if result.exit_code is None:
            raise TransientError(
                f"the schema job of {image.ref} could not start: {result.error or 'no reason given'}",
                reason="JobNotStarted",
                retry_after_s=5.0,
            )
        if not result.ok:
            raise TerminalError(
                f"the schema job of {image.ref} failed: {result.error or result.output or 'it said nothing'}",
                reason="SchemaFailed",
                remedy="mend the image, or declare another one",
            )
        return migrations_of(result.output, image)

    async def _publish(self, server: Server, image: Image, work: str, name: str) -> None:
        async with self._alone:
            await self._publish_alone(server, image, work, name)

    async def _publish_alone(self, server: Server, image: Image, work: str, name: str) -> None:
        catalog = await server.reread(frozenset({name}))
        known = catalog.databases.get(name)
        images = sorted({*(known.comment.get("images", ()) if known is not None else ()), key_of(image)})
        comment = f"comment on database {ident(name)} is {literal(json.dumps({'skep': 1, 'images': images}))}"
        if known is not None:
            await server.execute([comment, f"drop database {ident(work)} with (force)"])
        else:
            await server.execute(
                [
                    f"alter database {ident(work)} with allow_connections false connection limit 0",
                    f"revoke all on database {ident(work)} from {ident(TEMPLATE_ROLE)}",
                    f"alter role {ident(BUILDER)} in database {ident(work)} reset all",
                    f"alter database {ident(work)} rename to {ident(name)}",
                    comment,  # last: a template that names no image is never cloned
                ]
            )
        await server.reread(frozenset({name}))

    async def _builder_secret(self) -> str:
        name = f"skep.builder.g1.{self._keys.id}"
        labels = {names.PURPOSE: "builder", names.KIND: "job"}
        with contextlib.suppress(NameTaken, NotFound):
            await self._world.engine.create_secret(name, self._keys.password("platform", "builder").encode(), labels)
        return name


def migrations_of(output: str, image: Image) -> str:
    """The hash in the job's last line of JSON. Raises TerminalError if the image does not keep the contract."""
    for line in reversed(output.strip().splitlines()):
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and isinstance(hashed := answer.get("migrations"), str) and hashed.isalnum():
            return hashed
    raise TerminalError(
        f"the schema job of {image.ref} printed no line with its migrations",
        reason="ContractBroken",
        remedy="the app contract in docs/app-contract.md says what an image must answer",
    )
