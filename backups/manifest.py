"""What a backup holds, counted in the same snapshot of the database that pg_dump reads.

A manifest is written after its dump and stands for it: a dump without one was cut short and is nobody's backup.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skep.backups.errors import Damaged

FORMAT = 1
Count = Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """*tables*: rows by qualified name; *sequences*: what each gave last, None if nothing yet. Sizes in bytes.

    *structure* is a hash over columns, constraints and indexes. *settings* are the database's own (`ALTER DATABASE SET`),
    *limit* its connection limit. *spec* is the tenant's effective declaration, as the record keeps it.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: Literal[1] = 1
    backup: str
    tenant: str
    uid: str
    database: str
    made_at: datetime
    server_version: str
    dumped_with: str
    app_image: str
    schema_version: str
    spec: str
    settings: dict[str, str]
    limit: int
    structure: str
    tables: dict[str, Count]
    sequences: dict[str, int | None]
    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    dump: Annotated[
        str, Field(pattern=r"^[0-9a-f]{8,64}$")
    ]  # the snapshot that holds the stream; old restics tell its short id

    def dump_json(self) -> bytes:
        return self.model_dump_json(indent=2).encode() + b"\n"

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


def parse(data: bytes) -> Manifest:
    """Raises Damaged for what is no manifest, and for one of a newer release."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise Damaged(
            f"the manifest is not readable: {where}: {first['msg']}",
            remedy="a newer skep may have written it: restore with that one",
        ) from error
