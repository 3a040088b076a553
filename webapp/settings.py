"""What the process is given: `settings.json`, secrets as files, a few environment variables. Read once, here.

The contract is `docs/app-contract.md`. Validated by hand: pydantic would cost each of hundreds of idle processes
5 MB for eleven fields. Fields this image does not know are left alone, so that a newer operator can start it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from skep.webapp.errors import SettingsInvalid

T = TypeVar("T")

LANGUAGES = ("en", "fr")
DEFAULT_ACCENT = "#3b5bdb"  # a blue that nobody minds, until the tenant says otherwise
KNOWN_TENANT_SETTINGS = frozenset({"accent", "language", "timezone"})


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the tenant's database is. The password stays in its file until a connection is made."""

    host: str
    port: int
    name: str
    user: str
    pool_max: int
    password_file: Path

    def password(self) -> str:
        """Raises SettingsInvalid if the file cannot be read or is empty."""
        try:
            text = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SettingsInvalid(f"secret {self.password_file}: cannot be read ({reason})") from error
        if not text:
            raise SettingsInvalid(f"secret {self.password_file}: is empty")
        return text


@dataclass(frozen=True, slots=True)
class Settings:
    tenant: str
    uid: str
    display_name: str
    secure: bool
    proxies: tuple[str, ...]
    drain_s: float
    database: DatabaseSettings
    accent: str
    language: str
    timezone: str
    unknown: tuple[str, ...]  # the tenant's settings that this image ignores; said once in the log
    host: str | None  # None: every address of the task
    port: int
    revision: str

    @classmethod
    def read(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Raises SettingsInvalid naming the file and the field."""
        env = os.environ if env is None else env
        path = Path(env.get("SKEP_CONFIGS_DIR") or "/run/configs") / "settings.json"
        secrets_dir = Path(env.get("SKEP_SECRETS_DIR") or "/run/secrets")
        document = _Section(str(path), _load(path))
        database = document.section("database")
        tenant = document.section("settings", required=False)
        settings = cls(
            tenant=document.text("tenant"),
            uid=document.text("uid"),
            display_name=document.text("displayName"),
            secure=document.get("secure", bool, "true or false"),
            proxies=document.texts("proxies"),
            drain_s=document.number("drainSeconds", low=0, high=300, default=7.0),
            database=DatabaseSettings(
                host=database.text("host"),
                port=int(database.number("port", low=1, high=65535, default=5432, whole=True)),
                name=database.text("name"),
                user=database.text("user"),
                pool_max=int(database.number("poolMax", low=1, high=1000, default=10, whole=True)),
                password_file=secrets_dir / "database-password",
            ),
            accent=tenant.matching("accent", r"#[0-9a-fA-F]{6}", 'a colour like "#0a7d5a"', DEFAULT_ACCENT).lower(),
            language=tenant.matching("language", "|".join(LANGUAGES), 'one of "en", "fr"', "en"),
            timezone=_zone(tenant),
            unknown=tuple(sorted(tenant.keys() - KNOWN_TENANT_SETTINGS)),
            host=env.get("SKEP_HOST") or None,
            port=_port(env.get("SKEP_PORT") or "8080"),
            revision=env.get("SKEP_REVISION", ""),
        )
        settings.database.password()  # an absent secret is said at the start, not at the first visitor
        return settings


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise SettingsInvalid(f"{path}: is not JSON ({error})") from error


class _Section:
    """One JSON object, and the words for what is wrong with it."""

    def __init__(self, place: str, value: object) -> None:
        if not isinstance(value, dict):
            raise SettingsInvalid(f"{place}: must be a JSON object")
        self._place = place
        self._value: dict[str, Any] = value

    def keys(self) -> set[str]:
        return set(self._value)

    def refuse(self, key: str, expected: str) -> SettingsInvalid:
        value = json.dumps(self._value.get(key), ensure_ascii=False)
        shown = value if len(value) <= 80 else value[:77] + "..."
        return SettingsInvalid(f"{self._place}: {key}: must be {expected}, not {shown}")

    def section(self, key: str, *, required: bool = True) -> _Section:
        if key not in self._value and not required:
            return _Section(f"{self._place}: {key}", {})
        return _Section(f"{self._place}: {key}", self._value.get(key))

    def get(self, key: str, kind: type[T], expected: str) -> T:
        value = self._value.get(key)
        if not isinstance(value, kind):
            raise self.refuse(key, expected)
        return value

    def text(self, key: str) -> str:
        value = self.get(key, str, "a text").strip()
        if not value:
            raise self.refuse(key, "a text that is not empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._value.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.refuse(key, "a list of host names or addresses")
        return tuple(value)

    def number(self, key: str, *, low: float, high: float, default: float, whole: bool = False) -> float:
        value = self._value.get(key, default)
        right = isinstance(value, int) or (isinstance(value, float) and not whole)
        if isinstance(value, bool) or not right or not low <= value <= high:
            raise self.refuse(key, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
        return float(value)

    def matching(self, key: str, pattern: str, expected: str, default: str) -> str:
        value = self._value.get(key, default)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self.refuse(key, expected)
        return value


def _zone(tenant: _Section) -> str:
    name = tenant.matching("timezone", r"[A-Za-z0-9_+/-]{1,60}", 'an IANA time zone like "Europe/Paris"', "UTC")
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise tenant.refuse("timezone", 'an IANA time zone like "Europe/Paris"') from error
    return name


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsInvalid(f"SKEP_PORT={text!r}: must be a port from 1 to 65535")
    return int(text)
