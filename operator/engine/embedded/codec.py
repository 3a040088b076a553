"""Values of the port as JSON and back: one codec for the state on disk and for the wire.

Bytes are base64. What comes in is validated against the very types that the port names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from skep.operator import errors
from skep.operator.engine.port import Engine
from skep.operator.errors import SkepError, TransientError

T = TypeVar("T")
_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
METHODS = (
    "list_configs", "inspect_config", "create_config", "label_config", "remove_config",
    "list_secrets", "inspect_secret", "create_secret", "label_secret", "remove_secret",
    "list_networks", "create_network", "remove_network",
    "list_services", "inspect_service", "create_service", "update_service", "remove_service",
    "list_tasks", "resolve_image", "run_job", "info",
)  # fmt: skip


class Codec(Generic[T]):
    """JSON of one type. It is wrapped in a list of one, since only a container takes the setting for bytes."""

    def __init__(self, kind: type[T]) -> None:
        self._adapter: TypeAdapter[tuple[T]] = TypeAdapter(tuple[kind], config=_BYTES)  # type: ignore[arg-type,valid-type]

    def dump(self, value: T) -> bytes:
        return self._adapter.dump_json((value,))

    def load(self, data: bytes) -> T:
        """Raises ValueError."""
        return self._adapter.validate_json(data)[0]


@cache
def codec_of(kind: Any) -> Codec[Any]:
    return Codec(kind)


@cache
def signature(method: str) -> tuple[Mapping[str, Any], Any]:
    """Types of a method's arguments by name, in order, and of its result."""
    hints = get_type_hints(getattr(Engine, method))
    result = hints.pop("return")
    return hints, result


_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SkepError)}


def dump_error(error: SkepError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "message": error.message,
        "reason": error.reason,
        "remedy": error.remedy,
        "retry_after_s": error.retry_after_s if isinstance(error, TransientError) else None,
    }


def load_error(note: Mapping[str, Any]) -> SkepError:
    kind = _ERRORS.get(str(note.get("class")), SkepError)
    error = kind(str(note.get("message")), reason=note.get("reason"), remedy=note.get("remedy"))
    if isinstance(error, TransientError):
        error.retry_after_s = note.get("retry_after_s")
    return error
