from __future__ import annotations

import pytest

from skep.crds.settings import looks_secret, secret_file
from tests.unit.crds.documents import complaints, tenant_text


@pytest.mark.parametrize(
    "key",
    [
        "SMTP_PASSWORD", "PASSWORD", "STRIPE_KEY", "KEY", "API_TOKEN", "CLIENT_SECRET", "DB_PASSWD", "SMTP_PASS",
        "APIKEY", "SECRET_KEYS", "SMTP_PASSWORD_2", "smtpPassword", "stripeKey", "apiKey", "clientSecret", "token",
        "accessTokens", "dbpassword", "awsCredentials", "S3_KEY",
    ],
)  # fmt: skip
def test_keys_that_look_like_secrets_are_recognised(key: str) -> None:
    assert looks_secret(key)


@pytest.mark.parametrize(
    "key", ["accent", "MONKEY", "KEYBOARD", "keyVisual", "TOKEN_TTL", "passwordMinLength", "SECRETARY", "boardingPass"]
)
def test_keys_that_only_sound_a_little_alike_are_let_through(key: str) -> None:
    assert not looks_secret(key)


def test_the_suggested_file_never_collides_with_ours_and_fits_in_a_swarm_name() -> None:
    assert secret_file("SMTP_PASSWORD") == "smtp-password"
    assert secret_file("smtpPassword") == "smtp-password"
    assert secret_file("DATABASE_PASSWORD") == "own-database-password"
    assert len("t" * 32 + "." + secret_file("A_" * 28 + "PASSWORD")) <= 64


def test_a_secret_looking_setting_is_refused_with_the_command_that_does_it_right() -> None:
    (complaint,) = complaints(tenant_text("app: {settings: {SMTP_PASSWORD: hunter2}}"))
    assert complaint == (
        "7:20: spec.app.settings.SMTP_PASSWORD: looks like a secret, and settings can be read by many; run "
        "`docker secret create --label skep.tenant=acme acme.smtp-password FILE` and add "
        "{name: smtp-password, secret: acme.smtp-password} to the Tenant's app.secrets"
    )


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("postgres://user:hunter2@host/db", "holds a password in a URL, and settings can be read by many; "),
        ("-----BEGIN RSA PRIVATE KEY-----hunter2", "holds a private key, and settings can be read by many; "),
        ("hunter2" * 2000, "has 14000 characters; 8192 are the most"),
    ],
)
def test_secret_looking_values_are_refused_and_not_repeated(value: str, told: str) -> None:
    (complaint,) = complaints(tenant_text(f"app: {{settings: {{where: '{value}'}}}}"))
    assert complaint.startswith(f"7:27: spec.app.settings.where: {told}")
    assert "hunter2" not in complaint


@pytest.mark.parametrize("key", ["smtp-host", "smtp_host", "Smtp", "1st", "a.b", "ü", '"a b"', "x" * 65])
def test_keys_are_upper_case_or_camel_case(key: str) -> None:
    (complaint,) = complaints(tenant_text(f"app: {{settings: {{{key}: x}}}}"))
    assert complaint.endswith("is not a setting's key; write it like UPPER_CASE or camelCase, 64 characters at most")
    assert complaint.startswith("7:20: ")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", 'has no value; write one, or "" for an empty text'),
        ("~", 'has no value; write one, or "" for an empty text'),
        ("[1]", "must be text, not a list"),
        ("{b: 1}", "must be text, not a mapping"),
    ],
)
def test_values_are_plain(value: str, told: str) -> None:
    (complaint,) = complaints(tenant_text(f"app: {{settings: {{a: {value} }}}}"))
    assert complaint.endswith(f"spec.app.settings.a: {told}")
