"""What the process is given: read whole, or refused with the name of the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skep.webapp.errors import SettingsInvalid
from skep.webapp.settings import DEFAULT_ACCENT, Quotas, Settings

DOCUMENT: dict[str, Any] = {
    "tenant": "acme",
    "uid": "0d7c5c1e8a0b4a3f9d0f6f3f1c2b3a49",
    "displayName": "Acme Events",
    "secure": True,
    "proxies": ["tasks.traefik"],
    "drainSeconds": 7,
    "database": {"host": "postgres", "port": 5432, "name": "t_acme", "user": "t_acme_a", "poolMax": 10},
    "settings": {"accent": "#0A7D5A"},
}


def read(
    tmp_path: Path, document: object, *, secret: bytes | None = b"pw\n", env: dict[str, str] | None = None
) -> Settings:
    (tmp_path / "settings.json").write_text(document if isinstance(document, str) else json.dumps(document))
    if secret is not None:
        (tmp_path / "database-password").write_bytes(secret)
    return Settings.read({"SKEP_CONFIGS_DIR": str(tmp_path), "SKEP_SECRETS_DIR": str(tmp_path), **(env or {})})


def test_the_contracts_example_is_read(tmp_path: Path) -> None:
    settings = read(tmp_path, DOCUMENT, env={"SKEP_PORT": "9000", "SKEP_REVISION": "abc"})
    assert (settings.tenant, settings.display_name, settings.secure) == ("acme", "Acme Events", True)
    assert (settings.proxies, settings.drain_s) == (("tasks.traefik",), 7.0)
    assert (settings.database.host, settings.database.pool_max) == ("postgres", 10)
    assert settings.database.password() == "pw"
    assert (settings.accent, settings.port, settings.revision) == ("#0a7d5a", 9000, "abc")
    assert settings.unknown == ()


def test_what_may_be_left_out_has_a_default(tmp_path: Path) -> None:
    document = {key: value for key, value in DOCUMENT.items() if key not in ("settings", "drainSeconds", "proxies")}
    settings = read(tmp_path, document)
    assert (settings.accent, settings.language, settings.timezone) == (DEFAULT_ACCENT, "en", "UTC")
    assert (settings.proxies, settings.drain_s, settings.port) == ((), 7.0, 8080)


def test_a_newer_operators_fields_are_left_alone_and_named(tmp_path: Path) -> None:
    settings = read(tmp_path, DOCUMENT | {"shape": "round", "settings": {"sparkle": True, "logo": "x"}})
    assert settings.unknown == ("logo", "sparkle")


def test_mail_leaves_by_a_server_or_into_a_folder_or_not_at_all(tmp_path: Path) -> None:
    with_url = DOCUMENT | {"url": "https://acme.example.com"}
    assert read(tmp_path, with_url).mail is None
    assert read(tmp_path, DOCUMENT, env={"SKEP_MAIL_DIR": "/mail"}).mail is None  # nobody says what links must hold
    folder = read(tmp_path, with_url, env={"SKEP_MAIL_DIR": "/mail"}).mail
    assert folder is not None
    assert (folder.folder, folder.smtp, folder.bounces) == (Path("/mail"), None, "tickets@acme.example.com")
    said = {"SMTP_HOST": "mx.example", "SMTP_PORT": "465", "MAIL_FROM": "Acme <hi@acme.example>"}
    server = read(tmp_path, with_url | {"settings": said}, env={"SKEP_MAIL_DIR": "/mail"}).mail
    assert server is not None
    assert server.smtp is not None
    assert (server.folder, server.smtp.tls, server.bounces) == (None, "tls", "hi@acme.example")
    assert server.unsubscribe == "mailto:hi@acme.example?subject=unsubscribe"


def test_a_worker_takes_its_connections_out_of_the_tasks_share(tmp_path: Path) -> None:
    for most, web, worker in [(10, 8, 2), (4, 3, 1), (1, 1, 1)]:
        settings = read(tmp_path, DOCUMENT | {"database": DOCUMENT["database"] | {"poolMax": most}})
        assert (settings.web_database.pool_max, settings.worker_database.pool_max) == (web, worker)
    assert read(tmp_path, DOCUMENT | {"worker": "service"}).web_database.pool_max == 10


def test_the_password_is_not_part_of_what_is_printed(tmp_path: Path) -> None:
    assert "canary" not in repr(read(tmp_path, DOCUMENT, secret=b"canary"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"tenant": ""}, "tenant: must be a text that is not empty", id="empty"),
        pytest.param({"uid": None}, "uid: must be a text, not null", id="null"),
        pytest.param({"secure": "yes"}, 'secure: must be true or false, not "yes"', id="a word for true"),
        pytest.param({"proxies": "traefik"}, "proxies: must be a list of host names or addresses", id="no list"),
        pytest.param({"drainSeconds": -1}, "drainSeconds: must be a number from 0 to 300, not -1", id="negative"),
        pytest.param({"drainSeconds": True}, "drainSeconds: must be a number", id="true is no number"),
        pytest.param({"database": []}, "database: must be a JSON object", id="no object"),
        pytest.param(
            {"database": DOCUMENT["database"] | {"port": 5432.5}}, "port: must be a whole number", id="half a port"
        ),
        pytest.param({"database": DOCUMENT["database"] | {"poolMax": 0}}, "poolMax: must be a whole", id="no pool"),
        pytest.param({"settings": {"accent": "teal"}}, 'accent: must be a colour like "#0a7d5a"', id="colour"),
        pytest.param({"settings": {"accent": "#0a7d5a;}"}}, "accent: must be a colour", id="style injection"),
        pytest.param({"settings": {"language": "de"}}, 'language: must be one of "en", "fr"', id="language"),
        pytest.param({"settings": {"timezone": "Paris"}}, "timezone: must be an IANA time zone", id="zone"),
        pytest.param({"url": "javascript:1"}, "url: must be an address like https://", id="no address"),
        pytest.param({"worker": "none"}, 'worker: must be one of "child", "service"', id="worker"),
        pytest.param({"settings": {"RETENTION_DAYS": "0"}}, "RETENTION_DAYS: must be a whole number", id="no day"),
        pytest.param({"settings": {"SMTP_HOST": "mx"}}, "MAIL_FROM: must be an address", id="from nobody"),
        pytest.param(
            {"settings": {"MAIL_FROM": "a@b.example\r\nBcc: x@y.example"}}, "MAIL_FROM: must be", id="header injection"
        ),
        pytest.param({"settings": {"MAIL_UNSUBSCRIBE": "javascript:1"}}, "MAIL_UNSUBSCRIBE: must be", id="scheme"),
        pytest.param({"settings": {"SMTP_PORT": "many"}}, "SMTP_PORT: must be a whole number", id="port"),
        pytest.param({"settings": {"timezone": "../etc"}}, "timezone: must be an IANA time zone", id="path"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(tmp_path, DOCUMENT | changes)
    assert said in str(refused.value)
    assert str(tmp_path / "settings.json") in str(refused.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [("{", "is not JSON"), ("[]", "must be a JSON object"), ('"\\ud800', "is not JSON")],
)
def test_what_is_no_settings_file_is_refused(tmp_path: Path, document: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        read(tmp_path, document)


@pytest.mark.parametrize(
    ("secret", "said"), [(None, "cannot be read"), (b"", "is empty"), (b"\xff", "not UTF-8"), (b"\n", "is empty")]
)
def test_an_absent_secret_is_said_at_the_start(tmp_path: Path, secret: bytes | None, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"database-password: .*{said}"):
        read(tmp_path, DOCUMENT, secret=secret)


def test_absent_settings_are_said_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"settings\.json: cannot be read \(No such file"):
        Settings.read({"SKEP_CONFIGS_DIR": str(tmp_path)})


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "٣"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(SettingsInvalid, match="SKEP_PORT="):
        read(tmp_path, DOCUMENT, env={"SKEP_PORT": port})


def test_a_plan_says_how_much_there_may_be(tmp_path: Path) -> None:
    assert read(tmp_path, DOCUMENT).quotas == Quotas()
    quotas = {"members": 5, "events": 20, "mailsPerDay": 500, "mediaBytes": 52_428_800}
    settings = read(tmp_path, DOCUMENT | {"quotas": quotas})
    assert settings.quotas == Quotas(5, 20, 500, 52_428_800)
    assert settings.media_mb == 50
    with pytest.raises(SettingsInvalid, match="quotas: members: must be a whole number"):
        read(tmp_path, DOCUMENT | {"quotas": {"members": 0}})


@pytest.mark.parametrize(
    ("asked", "plan_bytes", "mb"),
    [
        pytest.param(None, None, 100, id="nobody says"),
        pytest.param("20", None, 20, id="the tenant says"),
        pytest.param(None, 500 * 1024**2, 500, id="the plan says"),
        pytest.param("20", 500 * 1024**2, 20, id="less than the plan"),
        pytest.param("900", 500 * 1024**2, 500, id="more than the plan"),
    ],
)
def test_a_tenant_may_ask_for_less_than_its_plan(
    tmp_path: Path, asked: str | None, plan_bytes: int | None, mb: int
) -> None:
    document: dict[str, Any] = {**DOCUMENT, "settings": {"MEDIA_MB": asked} if asked else {}}
    if plan_bytes is not None:
        document["quotas"] = {"mediaBytes": plan_bytes}
    assert read(tmp_path, document).media_mb == mb


def test_a_cache_is_read_and_its_password_not_until_it_is_needed(tmp_path: Path) -> None:
    cache = {"host": "redis", "port": 6379, "user": "t_acme", "prefix": "uid:"}
    assert read(tmp_path, DOCUMENT).cache is None
    settings = read(tmp_path, DOCUMENT | {"cache": cache}).cache
    assert settings is not None
    assert (settings.host, settings.user, settings.prefix) == ("redis", "t_acme", "uid:")
    with pytest.raises(SettingsInvalid, match="cache-password"):
        settings.password()
    with pytest.raises(SettingsInvalid, match="cache: host: must be a text"):
        read(tmp_path, DOCUMENT | {"cache": cache | {"host": 1}})
