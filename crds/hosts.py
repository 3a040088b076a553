"""Host names: what may stand in a route, and what to write instead of what may not.

A host becomes a rule of the edge and a cookie's home, so only the one canonical spelling passes: lower-case ASCII
labels, international names in their encoded form (`xn--`).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Annotated

import idna
from pydantic import AfterValidator, WithJsonSchema

from skep.crds.base import refusal, shown

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_PATTERN = rf"^({LABEL}\.)+{LABEL}$"
DOMAIN_PATTERN = rf"^({LABEL}\.)*{LABEL}$"
BASE_DOMAIN_MAX = 253 - 33  # a name of 32 characters and a dot
_DOMAIN = re.compile(DOMAIN_PATTERN)


def read_domain(value: str) -> str:
    """*value* if it is a host name in canonical form, one label (`localhost`) included; else raises a refusal."""
    if remedy := host_fault(value):
        raise refusal(f"{shown(value)} is not a host name: {remedy}")
    return value


def read_base_domain(value: str) -> str:
    """As `read_domain`, with room for the longest tenant name in front."""
    read_domain(value)
    if len(value) > BASE_DOMAIN_MAX:
        raise refusal(f"has {len(value)} characters; {BASE_DOMAIN_MAX} are the most, as tenants' names come before it")
    return value


def read_host(value: str) -> str:
    """As `read_domain`, for a host that browsers reach from outside: at least two labels."""
    read_domain(value)
    if "." not in value:
        raise refusal(f"{shown(value)} is not a full host name: write it with its domain, like {value}.example.com")
    return value


@lru_cache(maxsize=4096)
def host_fault(value: str) -> str | None:
    """What is wrong with a host name, and what to write instead; None if nothing is."""
    if not value:
        return "it is empty"
    if len(value) > 253:
        return f"it has {len(value)} characters; 253 are the most"
    if "://" in value:
        return f"write the host alone, {_bare(value)}" if _bare(value) else "write the host alone, without a scheme"
    if "/" in value:
        return "write the host alone, without a path"
    if "*" in value:
        return "wildcards are not served; list each host"
    if _is_address(value):
        return "it is an IP address; routes go by name"
    if re.fullmatch(r"[^:]+:[0-9]*", value):
        return f"write it without the port, {value.split(':')[0]}"
    if value.endswith("."):
        return f"write it without the dot at the end, {value.rstrip('.')}"
    if not value.isascii():
        return _encoded_remedy(value)
    if value != value.lower() and _DOMAIN.match(value.lower()):
        return f"write it in lower case, {value.lower()}"
    if bad := sorted({character for character in value.lower() if not re.match(r"[a-z0-9.-]", character)}):
        return f"{shown(bad[0])} cannot stand in one; use a-z, 0-9, '-' and '.'"
    for label in value.split("."):
        if fault := _label_fault(label):
            return fault
    if value.split(".")[-1].isdigit():
        return "its last part is a number, as in an IP address; routes go by name"
    return None


def _bare(url: str) -> str:
    match = re.match(r"[a-z]+://([a-z0-9.-]+)", url)
    return match[1] if match else ""


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        return False
    return True


def _encoded_remedy(value: str) -> str:
    try:
        encoded = idna.encode(value, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return "it has characters that no host name can carry"
    return f"write it in its encoded form, {encoded}"


def _label_fault(label: str) -> str | None:
    if not label:
        return "two dots follow each other, or one leads"
    if len(label) > 63:
        return f"the part {shown(label)} has {len(label)} characters; 63 are the most"
    if label.startswith("-") or label.endswith("-"):
        return f"the part {shown(label)} begins or ends with '-'"
    if label.startswith("xn--"):
        try:
            idna.decode(label)
        except (idna.IDNAError, UnicodeError):
            return f"the part {shown(label)} is no valid encoding of an international name"
    elif label[2:4] == "--":
        return f"the part {shown(label)} has '--' in the third and fourth place, which only 'xn--' may have"
    return None


Host = Annotated[str, AfterValidator(read_host), WithJsonSchema({"type": "string", "pattern": HOST_PATTERN})]
BaseDomain = Annotated[
    str, AfterValidator(read_base_domain), WithJsonSchema({"type": "string", "pattern": DOMAIN_PATTERN})
]


def is_under(host: str, domain: str) -> bool:
    """Whether *host* is *domain* or lies below it."""
    return host == domain or host.endswith(f".{domain}")
