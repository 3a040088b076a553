"""What the process is given: `settings.json`, secrets as files, a few environment variables. Read once, here.

The contract is `docs/app-contract.md`. Validated by hand: pydantic would cost each of hundreds of idle processes
5 MB for eleven fields. Fields this image does not know are left alone, so that a newer operator can start it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from skep.webapp.errors import SettingsInvalid

T = TypeVar("T")

LANGUAGES = ("en", "fr")
DEFAULT_ACCENT = "#3b5bdb"  # a blue that nobody minds, until the tenant says otherwise
DEFAULT_RETENTION_DAYS = 400  # a year and a bit: last year's guests can still be invited to this year's edition
DEFAULT_MEDIA_MB = 100
WORKER_MODES = ("child", "service")
TLS_MODES = ("starttls", "tls", "off")
KNOWN_TENANT_SETTINGS = frozenset({
    "accent", "language", "timezone", "RETENTION_DAYS", "MEDIA_MB", "MAIL_FROM", "MAIL_REPLY_TO", "MAIL_BOUNCES",
    "MAIL_UNSUBSCRIBE", "SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_TLS",
})  # fmt: skip


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
        return _secret(self.password_file)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The shared cache server. Every key of ours begins with *prefix*."""

    host: str
    port: int
    user: str
    prefix: str
    password_file: Path

    def password(self) -> str:
        """Raises SettingsInvalid. Read for each connection: a rotated one is used without a restart."""
        return _secret(self.password_file)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much the tenant may have by its plan; None: no end."""

    members: int | None = None
    events: int | None = None
    mails_per_day: int | None = None
    media_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. *user* None: it asks for none."""

    host: str
    port: int
    user: str | None
    tls: str
    password_file: Path

    def password(self) -> str:
        """Raises SettingsInvalid. Read for each connection: a rotated one is used without a restart."""
        return _secret(self.password_file)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How mail leaves: by *smtp*, or where there is none into *folder*. Addresses are `name@host` or `Name <...>`.

    *bounces* is the envelope's sender; *unsubscribe* a `mailto:` or `https:` address.
    """

    sender: str
    reply_to: str | None
    bounces: str
    unsubscribe: str
    smtp: SmtpSettings | None
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Settings:
    tenant: str
    uid: str
    display_name: str
    secure: bool
    proxies: tuple[str, ...]
    drain_s: float
    database: DatabaseSettings
    cache: CacheSettings | None  # None: the platform has none
    accent: str
    language: str
    timezone: str
    url: str | None  # where people reach the site, without a slash at its end; None: an older operator does not say it
    worker: str  # "child": the web process starts one when there is work; "service": somebody else does
    retention_days: int
    media_mb: int
    quotas: Quotas
    mail: MailSettings | None  # None: no mail can be sent, and what is to be sent waits
    metrics_token_file: Path
    unknown: tuple[str, ...]  # the tenant's settings that this image ignores; said once in the log
    host: str | None  # None: every address of the task
    port: int
    revision: str

    def metrics_token(self) -> str | None:
        """What a scraper from elsewhere must bring; None: nobody may. Read anew: it may be rotated."""
        try:
            return _secret(self.metrics_token_file)
        except SettingsInvalid:
            return None

    @property
    def web_database(self) -> DatabaseSettings:
        """What the web process may use of the task's connections: the worker that it starts has its own."""
        if self.worker != "child":
            return self.database
        return replace(self.database, pool_max=max(1, self.database.pool_max - self.worker_database.pool_max))

    @property
    def worker_database(self) -> DatabaseSettings:
        return replace(self.database, pool_max=2 if self.database.pool_max >= 6 else 1)

    @classmethod
    def read(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Raises SettingsInvalid naming the file and the field."""
        env = os.environ if env is None else env
        path = Path(env.get("SKEP_CONFIGS_DIR") or "/run/configs") / "settings.json"
        secrets_dir = Path(env.get("SKEP_SECRETS_DIR") or "/run/secrets")
        document = _Section(str(path), _load(path))
        database = document.section("database")
        tenant = document.section("settings", required=False)
        url = document.matching("url", r"https?://[^\s/\"<>]+", "an address like https://acme.example.com", "") or None
        quotas = _quotas(document)
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
            cache=_cache(document, secrets_dir),
            accent=tenant.matching("accent", r"#[0-9a-fA-F]{6}", 'a colour like "#0a7d5a"', DEFAULT_ACCENT).lower(),
            language=tenant.matching("language", "|".join(LANGUAGES), 'one of "en", "fr"', "en"),
            timezone=_zone(tenant),
            url=url,
            worker=document.matching("worker", "|".join(WORKER_MODES), 'one of "child", "service"', "child"),
            retention_days=tenant.whole("RETENTION_DAYS", low=1, high=36_500, default=DEFAULT_RETENTION_DAYS),
            media_mb=_media_mb(tenant, quotas),
            quotas=quotas,
            mail=_mail(tenant, secrets_dir, url, document.text("displayName"), env.get("SKEP_MAIL_DIR") or None),
            metrics_token_file=secrets_dir / "metrics-token",
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

    def has(self, key: str) -> bool:
        return key in self._value

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

    def whole(self, key: str, *, low: int, high: int, default: int) -> int:
        """A whole number, as such or as text: YAML's settings are texts."""
        value = self._value.get(key, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def matching(self, key: str, pattern: str, expected: str, default: str) -> str:
        if key not in self._value:
            return default
        value = self._value[key]
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self.refuse(key, expected)
        return value


def _secret(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsInvalid(f"secret {path}: cannot be read ({reason})") from error
    if not text:
        raise SettingsInvalid(f"secret {path}: is empty")
    return text


def _cache(document: _Section, secrets_dir: Path) -> CacheSettings | None:
    """A password that cannot be read is no reason not to start: the app does without a cache at any time."""
    if not document.has("cache"):
        return None
    cache = document.section("cache")
    return CacheSettings(
        host=cache.text("host"),
        port=int(cache.number("port", low=1, high=65535, default=6379, whole=True)),
        user=cache.text("user"),
        prefix=cache.text("prefix"),
        password_file=secrets_dir / "cache-password",
    )


def _quotas(document: _Section) -> Quotas:
    said = document.section("quotas", required=False)

    def most(key: str) -> int | None:
        return said.whole(key, low=1, high=1 << 50, default=1) if said.has(key) else None

    return Quotas(most("members"), most("events"), most("mailsPerDay"), most("mediaBytes"))


def _media_mb(tenant: _Section, quotas: Quotas) -> int:
    """What the tenant asks for, and no more than its plan has."""
    plan_mb = 100_000 if quotas.media_bytes is None else quotas.media_bytes // 1024**2
    asked = tenant.whole("MEDIA_MB", low=0, high=100_000, default=DEFAULT_MEDIA_MB)
    return min(plan_mb, asked if tenant.has("MEDIA_MB") or quotas.media_bytes is None else plan_mb)


_ADDRESS = r"[^\s<>@,;\"]+@[^\s<>@,;\"]+"


def _mail(
    tenant: _Section, secrets_dir: Path, url: str | None, display_name: str, folder: str | None
) -> MailSettings | None:
    """None where neither a server nor a folder is given, or where nobody says which address links must have."""
    mailbox = rf"{_ADDRESS}|[^\r\n<>]{{1,100}}<{_ADDRESS}>"
    expected = 'an address like "Acme Events <tickets@acme.example>"'
    host = tenant.matching("SMTP_HOST", r"[A-Za-z0-9.:_-]{1,253}", "a host name", "")
    port = tenant.whole("SMTP_PORT", low=1, high=65535, default=587)
    user = tenant.matching("SMTP_USER", r"[^\x00-\x1f]{1,200}", "a user name", "") or None
    tls = tenant.matching("SMTP_TLS", "|".join(TLS_MODES), 'one of "starttls", "tls", "off"', "")
    sender = tenant.matching("MAIL_FROM", mailbox, expected, "")
    reply_to = tenant.matching("MAIL_REPLY_TO", mailbox, expected, "") or None
    bounces = tenant.matching("MAIL_BOUNCES", _ADDRESS, 'an address like "bounces@acme.example"', "")
    unsubscribe = tenant.matching(
        "MAIL_UNSUBSCRIBE", r"(mailto|https):[^\s<>,]{3,500}", "a mailto: or https: address", ""
    )
    smtp = None
    if host:
        if not sender:
            raise tenant.refuse("MAIL_FROM", f"{expected}, because SMTP_HOST is given")
        mode = tls or ("tls" if port == 465 else "starttls")
        smtp = SmtpSettings(host, port, user, mode, secrets_dir / "smtp-password")
        if user is not None:
            smtp.password()  # said at the start, not at the first mail
    if url is None or (smtp is None and folder is None):
        return None
    name = re.sub(r'["\\\r\n<>]', "", display_name)
    sender = sender or f'"{name}" <tickets@{urlsplit(url).hostname}>'
    address = sender.rpartition("<")[2].rstrip(">")
    return MailSettings(
        sender=sender,
        reply_to=reply_to,
        bounces=bounces or address,
        unsubscribe=unsubscribe or f"mailto:{(reply_to or address).rpartition('<')[2].rstrip('>')}?subject=unsubscribe",
        smtp=smtp,
        folder=Path(folder) if folder is not None and smtp is None else None,
    )


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
