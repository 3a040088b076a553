"""Sizes, durations, CPUs, whole numbers and yes-or-no, read from the text that people write.

The reader hands every scalar over as text, so that `012`, `1.10` and `no` mean one thing only; here text becomes a
number. Numbers themselves are taken too, for documents that code builds.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from skep.crds.base import refusal, shown

SIZE_UNITS = {"K": 1000, "M": 1000**2, "G": 1000**3, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
SIZE_PATTERN = r"^[1-9][0-9]{0,9}(K|M|G|Ki|Mi|Gi)$"
SIZE_MIN, SIZE_MAX = 16 * 1024**2, 1024 * 1024**3  # less starts no interpreter; more no node has

DURATION_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
DURATION_PATTERN = r"^[1-9][0-9]{0,8}(ms|s|m|h)$"
DURATION_MAX_S = 86_400.0

CPUS_PATTERN = r"^([0-9]{1,3}(\.[0-9]{1,3})?|[1-9][0-9]{0,5}m)$"
CPUS_MIN, CPUS_MAX = 0.01, 256.0


def read_size(value: object) -> int:
    """Bytes of `256Mi`, `1Gi` or `512M`. Raises a refusal outside 16Mi to 1024Gi."""
    if isinstance(value, str):
        match = re.fullmatch(r"([1-9][0-9]{0,9})(K|M|G|Ki|Mi|Gi)", value)
        if not match:
            raise refusal(f"{shown(value)} is not a size; {_size_remedy(value)}")
        size = int(match[1]) * SIZE_UNITS[match[2]]
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise refusal("must be a size, like 256Mi")
    if not SIZE_MIN <= size <= SIZE_MAX:
        raise refusal(f"{shown(value)} is out of range; use 16Mi to 1024Gi")
    return size


def _size_remedy(text: str) -> str:
    match = re.fullmatch(r"([1-9][0-9]{0,9}) *([kmg])?(i?)b?", text, re.IGNORECASE)
    if match and match[2]:
        return f"write {match[1]}{match[2].upper()}i (powers of 1024) or {match[1]}{match[2].upper()} (of 1000)"
    if match:
        return f"say the unit, like {match[1]}Mi"
    return "write a whole number and Ki, Mi, Gi, K, M or G, like 256Mi"


def format_size(size_bytes: int) -> str:
    for unit in ("Gi", "G", "Mi", "M", "Ki", "K"):
        if size_bytes and size_bytes % SIZE_UNITS[unit] == 0:
            return f"{size_bytes // SIZE_UNITS[unit]}{unit}"
    return str(size_bytes)


def read_duration(value: object) -> float:
    """Seconds of `30s`, `5m`, `1h` or `500ms`. Raises a refusal above 24 hours, or for zero."""
    if isinstance(value, str):
        match = re.fullmatch(r"([1-9][0-9]{0,8})(ms|s|m|h)", value)
        if not match:
            raise refusal(f"{shown(value)} is not a duration; {_duration_remedy(value)}")
        duration_s = int(match[1]) * DURATION_UNITS_MS[match[2]] / 1000
    elif isinstance(value, int | float) and not isinstance(value, bool):
        duration_s = round(float(value), 3)
    else:
        raise refusal("must be a duration, like 30s")
    if not 0.001 <= duration_s <= DURATION_MAX_S:
        raise refusal(f"{shown(value)} is out of range; use 1ms to 24h")
    return duration_s


def _duration_remedy(text: str) -> str:
    if re.fullmatch(r"0+[a-z]*", text):
        return "it must be more than zero, like 30s"
    if re.fullmatch(r"[0-9]{1,9}", text):
        return f"say the unit, like {text}s"
    return "write one whole number and ms, s, m or h, like 30s"


def format_duration(duration_s: float) -> str:
    milliseconds = round(duration_s * 1000)
    for unit in ("h", "m", "s"):
        if milliseconds % DURATION_UNITS_MS[unit] == 0:
            return f"{milliseconds // DURATION_UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms"


def read_cpus(value: object) -> float:
    """Cores of `0.5`, `2` or `500m`. Raises a refusal outside 0.01 to 256."""
    if isinstance(value, str):
        if not re.fullmatch(CPUS_PATTERN, value):
            raise refusal(f"{shown(value)} is not a number of CPUs; write 0.5 or 500m for half a core, 2 for two")
        cpus = int(value[:-1]) / 1000 if value.endswith("m") else float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cpus = round(float(value), 3)
    else:
        raise refusal("must be a number of CPUs, like 0.5")
    if not CPUS_MIN <= cpus <= CPUS_MAX:
        raise refusal(f"{shown(value)} CPUs are out of range; use 0.01 to 256")
    return cpus


def format_cpus(cpus: float) -> str:
    return f"{cpus:g}"


def read_whole(value: object) -> object:
    """The int of a decimal text; anything else goes on to the field's own type check."""
    if isinstance(value, bool) or value is None:
        raise refusal("must be a whole number")
    if isinstance(value, str):
        if not re.fullmatch(r"(0|-?[1-9][0-9]{0,8})", value):
            raise refusal(f"{shown(value)} is not a whole number{_whole_remedy(value)}")
        return int(value)
    return value


def _whole_remedy(text: str) -> str:
    if re.fullmatch(r"0[0-9]{1,8}", text) and int(text):
        return f"; write {int(text)}, without the leading zero"
    if re.fullmatch(r"[0-9]{1,9}\.0+", text):
        return f"; write {int(text.split('.')[0])}"
    if re.fullmatch(r"-?[0-9]{10,}", text):
        return "; it is too large"
    return "; write digits only, like 2"


def read_flag(value: object) -> object:
    """The bool of `true` or `false`; YAML 1.1's other words for them are refused with the right one."""
    if isinstance(value, str):
        if value in ("true", "false"):
            return value == "true"
        meant = {"yes": "true", "on": "true", "y": "true", "1": "true", "true": "true", "t": "true"} | {
            "no": "false", "off": "false", "n": "false", "0": "false", "false": "false", "f": "false",
        }  # fmt: skip
        if word := meant.get(value.lower()):
            raise refusal(f"{shown(value)} is not true or false; write {word}")
        raise refusal(f"{shown(value)} is not true or false; write true or false")
    if not isinstance(value, bool):
        raise refusal("must be true or false")
    return value


Size = Annotated[
    int,
    BeforeValidator(read_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["256Mi", "1Gi"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "5m"]}),
]
Cpus = Annotated[
    float,
    BeforeValidator(read_cpus),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": CPUS_MIN, "maximum": CPUS_MAX},
                {"type": "string", "pattern": CPUS_PATTERN},
            ],
            "examples": [0.5, "500m"],
        }
    ),
]
Flag = Annotated[bool, BeforeValidator(read_flag)]
