"""Every wrong field gets one line: where, what stands there, what to write."""

from __future__ import annotations

import pytest

from skep.crds.base import RESERVED_NAMES
from tests.unit.crds.documents import complaints, header, plan_text, platform_text, tenant_text

NAME_RULE = "3 to 32 characters of a-z, 0-9 and '-', beginning with a letter and not ending with '-'"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # misspelt and misplaced fields
        ("dispalyName: x", ["7:1: spec.dispalyName: unknown field; did you mean displayName?"]),
        ("display_name: x", ["7:1: spec.display_name: unknown field; did you mean displayName?"]),
        ("host: [a.b.org]", ["7:1: spec.host: unknown field; did you mean hosts?"]),
        ("deletion-policy: Retain", ["7:1: spec.deletion-policy: unknown field; did you mean deletionPolicy?"]),
        ("replicas: 2", ["7:1: spec.replicas: unknown field here; did you mean spec.app.replicas?"]),
        ("memory: 1Gi", ["7:1: spec.memory: unknown field here; did you mean spec.app.resources.memory?"]),
        ("app: {resource: {}}", ["7:7: spec.app.resource: unknown field; did you mean resources?"]),
        ("app: {resources: {cpu: 1}}", ["7:19: spec.app.resources.cpu: unknown field; did you mean cpus?"]),
        ("database: {extension: []}", ["7:12: spec.database.extension: unknown field; did you mean extensions?"]),
        (
            "colour: red",
            [
                ("7:1: spec.colour: unknown field; known here: app, database, deletionPolicy, displayName, hosts, "
                "owner, plan, suspend"),
            ],
        ),
        ("spec: {}", ["7:1: spec.spec: unknown field here; did you mean spec?"]),
        ("backup: {}", None),
        # wrong shapes
        ("hosts: a.b.org", ["7:8: spec.hosts: must be a list, not the text 'a.b.org'; begin each item with a dash"]),
        ("hosts: {a: b}", ["7:8: spec.hosts: must be a list, not a mapping; begin each item with a dash"]),
        ("hosts: [[a.b.org]]", ["7:9: spec.hosts[0]: must be text, not a list"]),
        ("hosts: [a.b.org, ]\nowner: [x]", ["8:8: spec.owner: must be text, not a list"]),
        ("hosts: [~]", ['7:9: spec.hosts[0]: has no value; write one']),
        ("app: web", ["7:6: spec.app: must be a mapping of fields, not the text 'web'"]),
        ("app: [web]", ["7:6: spec.app: must be a mapping of fields, not a list"]),
        ("app: {settings: [A]}", ["7:17: spec.app.settings: must be a mapping of fields, not a list"]),
        ("app: {replicas: [1]}", ["7:17: spec.app.replicas: must be a number, not a list"]),
        ("app: {resources: {cpus: {}}}", ["7:25: spec.app.resources.cpus: must be a number of CPUs, like 0.5"]),
        # numbers, sizes, durations, flags
        ("app: {replicas: 0}", ["7:17: spec.app.replicas: '0' is too small; 1 is the least"]),
        ("app: {replicas: -1}", ["7:17: spec.app.replicas: '-1' is too small; 1 is the least"]),
        ("app: {replicas: 101}", ["7:17: spec.app.replicas: '101' is too large; 100 is the most"]),
        (
            "app: {replicas: two}",
            ["7:17: spec.app.replicas: 'two' is not a whole number; write digits only, like 2"],
        ),
        (
            "app:\n  resources:\n    memory: 512MB",
            [
                ("9:13: spec.app.resources.memory: '512MB' is not a size; "
                "write 512Mi (powers of 1024) or 512M (of 1000)"),
            ],
        ),
        (
            "database: {statementTimeout: 30}",
            ["7:30: spec.database.statementTimeout: '30' is not a duration; say the unit, like 30s"],
        ),
        ("database: {connectionLimit: 1}", ["7:29: spec.database.connectionLimit: '1' is too small; 2 is the least"]),
        ("suspend: yes", ["7:10: spec.suspend: 'yes' is not true or false; write true"]),
        ("suspend: off", ["7:10: spec.suspend: 'off' is not true or false; write false"]),
        # words out of a few
        ("deletionPolicy: delete", ["7:17: spec.deletionPolicy: 'delete' is not known; did you mean Delete?"]),
        ("deletionPolicy: Keep", ["7:17: spec.deletionPolicy: 'Keep' is not known; write Retain or Delete"]),
        ("deletionPolicy: Snapshot", ["7:17: spec.deletionPolicy: 'Snapshot' is not known; write Retain or Delete"]),
        # hosts
        (
            "hosts: ['*.acme.org']",
            ["7:9: spec.hosts[0]: '*.acme.org' is not a host name: wildcards are not served; list each host"],
        ),
        (
            "hosts:\n  - acme.org\n  - Acme.org",
            ["9:5: spec.hosts[1]: 'Acme.org' is not a host name: write it in lower case, acme.org"],
        ),
        (
            "hosts: [bücher.example]",
            [
                ("7:9: spec.hosts[0]: 'bücher.example' is not a host name: "
                "write it in its encoded form, xn--bcher-kva.example"),
            ],
        ),
        (
            "hosts: [shop]",
            ["7:9: spec.hosts[0]: 'shop' is not a full host name: write it with its domain, like shop.example.com"],
        ),
        (
            "hosts: [a.b.org, c.org, a.b.org]",
            ["7:25: spec.hosts[2]: host 'a.b.org' is listed twice; remove one"],
        ),
        # images
        ("app: {image: 'Skep:1'}", ["7:14: spec.app.image: 'Skep:1' is not an image; repository names are lower case: skep:1"]),
        # secrets
        (
            "app: {secrets: [{name: database-password, secret: acme.x}]}",
            [
                ("7:24: spec.app.secrets[0].name: 'database-password' is the file that skep itself gives the app; "
                "choose another name"),
            ],
        ),
        (
            "app: {secrets: [{name: SMTP, secret: acme.smtp}]}",
            [
                ("7:24: spec.app.secrets[0].name: 'SMTP' is not a file name for a secret; use 1 to 64 characters of "
                "a-z, 0-9 and '._-', beginning with a letter or digit"),
            ],
        ),
        ("app: {secrets: [{name: ../etc, secret: x}]}", None),
        (
            "app: {secrets: [{name: smtp, secret: skep.birch.db-a.g1.k1}]}",
            [
                ("7:38: spec.app.secrets[0].secret: 'skep.birch.db-a.g1.k1' is one of skep's own secrets; "
                "name a secret of your own"),
            ],
        ),
        ("app: {secrets: [{name: smtp}]}", ["7:17: spec.app.secrets[0].secret: missing; it is needed here"]),
        (
            "app: {secrets: [{name: a, secret: x}, {name: a, secret: y}]}",
            ["7:46: spec.app.secrets[1].name: the file 'a' is listed twice; remove one"],
        ),
        ("app: {secrets: [smtp]}", ["7:17: spec.app.secrets[0]: must be a mapping of fields, not the text 'smtp'"]),
        # database
        ("database: {extensions: [postgis_raster]}", None),
        ("database: {extensions: [vector, vector]}", ["7:33: spec.database.extensions[1]: extension 'vector' is listed twice; remove one"]),
        # people
        ("owner: nobody", ["7:8: spec.owner: 'nobody' is not an e-mail address; write it like owner@example.com"]),
        ("owner: 'a b@c.org'", ["7:8: spec.owner: 'a b@c.org' is not an e-mail address; write it like owner@example.com"]),
        ("owner: a@b@c.org", ["7:8: spec.owner: 'a@b@c.org' is not an e-mail address; write it like owner@example.com"]),
        (
            "owner: a@c_d.org",
            [
                ("7:8: spec.owner: 'a@c_d.org' is not an e-mail address: its host 'c_d.org': "
                "'_' cannot stand in one; use a-z, 0-9, '-' and '.'"),
            ],
        ),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_tenant_is_told_in_one_line(spec: str, expected: list[str] | None) -> None:
    lines = complaints(tenant_text(spec))
    # tenant_text indents by two; the table counts columns from the spec's own margin.
    shifted = [_shift(line) for line in lines]
    assert len(shifted) == 1
    assert expected is None or shifted == expected


def _shift(complaint: str) -> str:
    line, column, message = complaint.split(":", 2)
    return f"{line}:{int(column) - 2}:{message}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Acme", f"'Acme' is not a tenant's name; use {NAME_RULE}"),
        ("ab", f"'ab' is not a tenant's name; use {NAME_RULE}"),
        ("a" * 33, f"'{'a' * 33}' is not a tenant's name; use {NAME_RULE}"),
        ("1acme", f"'1acme' is not a tenant's name; use {NAME_RULE}"),
        ("acme-", f"'acme-' is not a tenant's name; use {NAME_RULE}"),
        ("ac.me", f"'ac.me' is not a tenant's name; use {NAME_RULE}"),
        ("ac_me", f"'ac_me' is not a tenant's name; use {NAME_RULE}"),
        ("'acme '", f"'acme ' is not a tenant's name; use {NAME_RULE}"),
        ('"acme\\n"', f"'acme\\n' is not a tenant's name; use {NAME_RULE}"),
        ("ac`me", f"'ac`me' is not a tenant's name; use {NAME_RULE}"),
        ("\u0430cme", f"'\u0430cme' is not a tenant's name; use {NAME_RULE}"),
        ("xn--acme", "'xn--acme' begins with 'xn--', which marks an encoded host name; choose another name"),
        ("www", "'www' is reserved for the platform; choose another name"),
        ("traefik", "'traefik' is reserved for the platform; choose another name"),
        ("record", "'record' is reserved for the platform; choose another name"),
    ],
)
def test_a_tenants_name_is_a_host_label_and_not_the_platforms(name: str, told: str) -> None:
    assert complaints(tenant_text(name=name)) == [f"3:18: metadata.name: {told}"]


def test_words_of_skeps_own_objects_are_reserved() -> None:
    # skep.record.<name>, skep.status.<name>, skep.request.<id>, skep.sources, skep.postgres-admin next to skep.<name>.*
    assert {"record", "status", "request", "source", "sources", "lease", "postgres-admin", "root-key"} <= RESERVED_NAMES


@pytest.mark.parametrize("name", ["abc", "a1b", "acme-2", "a--b", "a" * 32, "localhost2"])
def test_good_tenant_names_pass(name: str) -> None:
    assert complaints(tenant_text(name=name)) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ('""', "is empty; write the name that people see"),
        ('"  "', "is empty; write the name that people see"),
        ('" Acme"', "' Acme' begins or ends with white space; remove it"),
        ("x" * 91, "has 91 characters; 90 are the most"),
        ('"Ac\\tme"', "holds a character that cannot be seen (U+0009); remove it"),
        ('"Ac\\u202eme"', "holds a character that cannot be seen (RIGHT-TO-LEFT OVERRIDE); remove it"),
        ("", "has no value; write one"),
        ("[x]", "must be text, not a list"),
    ],
)
def test_a_display_name_can_be_seen(name: str, told: str) -> None:
    text = header("Tenant", "acme") + f"  displayName: {name}\n  plan: free\n"
    (complaint,) = complaints(text)
    assert complaint.endswith(f": spec.displayName: {told}")


@pytest.mark.parametrize(
    "name", ["x", "x" * 90, "Ünïcödé & Söhne", "株式会社", "'it''s <b>'", "no", "1.10", "👩\u200d🔧"]
)
def test_a_display_name_may_be_anything_visible_and_is_kept_as_written(name: str) -> None:
    assert complaints(header("Tenant", "acme") + f"  displayName: {name}\n  plan: free\n") == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", ["3:10: metadata: has no value; write one"]),
        ("acme", ["3:11: metadata: must be a mapping of fields, not the text 'acme'"]),
        ("{}", ["3:1: metadata.name: missing; every Tenant needs it"]),
        ("{nam: acme}", ["3:12: metadata.nam: unknown field; did you mean name?"]),
        ("{name: acme, namespace: x}", None),
        (
            "{name: acme, uid: abc}",
            [
                ("3:29: metadata.uid: 'abc' is not a uid; it has 32 characters of 0-9 and a-f. "
                "Leave it out for a new tenant"),
            ],
        ),
        ("{name: acme, labels: {a: [b]}}", ["3:36: metadata.labels.a: must be text, not a list"]),
        (
            "{name: acme, labels: {skep.uid: x}}",
            ["3:33: metadata.labels['skep.uid']: 'skep.uid' begins with 'skep.', which skep keeps for itself; choose another key"],
        ),
        (
            "{name: acme, labels: {'a b': x}}",
            ["3:33: metadata.labels['a b']: 'a b' is not a label's key; use 1 to 63 characters of A-Z, a-z, 0-9 and '._/-'"],
        ),
        ("{name: acme, labels: {a: " + "x" * 257 + "}}", ["3:36: metadata.labels.a: is too long; 256 characters are the most"]),
    ],
)  # fmt: skip
def test_wrong_metadata_is_told_in_one_line(metadata: str, expected: list[str] | None) -> None:
    text = f"apiVersion: skep/v1\nkind: Tenant\nmetadata: {metadata}\nspec: {{displayName: x, plan: free}}\n"
    lines = complaints(text)
    assert len(lines) == 1
    assert expected is None or lines == expected


def test_a_uid_is_for_tenants_only() -> None:
    (complaint,) = complaints(plan_text().replace("{name: free}", f"{{name: free, uid: {'0' * 32}}}"))
    assert "3:24: metadata.uid: unknown field" in complaint
    assert complaints(tenant_text().replace("{name: acme}", f"{{name: acme, uid: {'0' * 32}}}")) == []


@pytest.mark.parametrize(
    ("words", "spec", "expected"),
    [
        (
            {"base_domain": "example.com"}, "",
            ("6:8: spec.tls: off would send passwords over example.com in the clear; write certificate, "
            "or insecure: true if you mean it"),
        ),
        ({"tls": "on"}, "", "6:8: spec.tls: 'on' is not known; write off or certificate"),
        ({"tls": "Certificate"}, "", "6:8: spec.tls: 'Certificate' is not known; did you mean certificate?"),
        ({"base_domain": "Example.com", "tls": "certificate"}, "", "5:15: spec.baseDomain: 'Example.com' is not a host name: write it in lower case, example.com"),
        ({"base_domain": "https://example.com"}, "", "5:15: spec.baseDomain: 'https://example.com' is not a host name: write the host alone, example.com"),
        ({"base_domain": ".".join(["a" * 60] * 4)}, "", "5:15: spec.baseDomain: has 243 characters; 220 are the most, as tenants' names come before it"),
        ({"image": ""}, "", "4:1: spec.app: missing; every Platform needs it"),
        ({}, "app: {images: x:1}", "8:9: spec.app.images: unknown field; did you mean image?"),
        ({}, "app: {image: 'x:1', allowedImages: []}", "8:38: spec.app.allowedImages: needs at least 1 item"),
        (
            {}, "app: {image: 'x:1', allowedImages: ['x; y']}",
            ("8:39: spec.app.allowedImages[0]: 'x; y' is not an image pattern; write an image in which * stands for any "
            "part of a name, like registry.example.com/team/*"),
        ),
        ({}, "networks: {edge: []}", "9:20: spec.networks.edge: needs at least 1 item"),
        ({}, "networks: {edge: [a, a]}", "9:24: spec.networks.edge[1]: network 'a' is listed twice; remove one"),
        (
            {}, "networks: {edge: [a], data: [a]}",
            "9:32: spec.networks.data[0]: network 'a' is an edge network too; databases want networks of their own",
        ),
        ({}, "networks: {edge: [a b]}", "9:21: spec.networks.edge[0]: 'a b' is not a network's name; use 1 to 64 characters of A-Z, a-z, 0-9 and '_.-'"),
        ({}, "brake: {percent: 101}", "9:20: spec.brake.percent: '101' is too large; 100 is the most"),
        ({}, "brake: {percent: 30%}", "9:20: spec.brake.percent: '30%' is not a whole number; write digits only, like 2"),
        ({}, "defaults: {app: {replica: 1}}", "9:20: spec.defaults.app.replica: unknown field; did you mean replicas?"),
        ({}, "insecure: yes", "9:13: spec.insecure: 'yes' is not true or false; write true"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_platform_is_told_in_one_line(words: dict[str, str], spec: str, expected: str) -> None:
    assert complaints(platform_text(spec, **words)) == [expected]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("[]", "7:14: spec.databases: needs at least 1 item"),
        ("", 'has no value; write one'),
        ("[{name: a}]", "7:15: spec.databases[0].host: missing; it is needed here"),
        ("[{name: a, host: b}, {name: a, host: c}]", "7:42: spec.databases[1].name: database server 'a' is listed twice; remove one"),
        ("[{name: a, host: 'b:5432'}]", "7:31: spec.databases[0].host: 'b:5432' is not a host; write the port in its own field, port"),
        ("[{name: a, host: 'b c'}]", "7:31: spec.databases[0].host: 'b c' is not a host; write a host name or an IP address"),
        ("[{name: a, host: /run/x}]", "7:31: spec.databases[0].host: '/run/x' is not a host; write a host name or an IP address"),
        ("[{name: a, host: b, port: 70000}]", "7:40: spec.databases[0].port: '70000' is too large; 65535 is the most"),
        ("[{name: a, host: b, port: 0}]", "7:40: spec.databases[0].port: '0' is too small; 1 is the least"),
        (
            "[{name: a, host: b, user: 'x\"y'}]",
            ("7:40: spec.databases[0].user: 'x\"y' is not a role of the operator; use a-z, 0-9 and '_', 63 at most, "
            "not beginning with pg_"),
        ),
        ("[{name: a, host: b, secret: ../x}]", "7:42: spec.databases[0].secret: '../x' is not a file name for a secret; use 1 to 64 characters of a-z, 0-9 and '._-'"),
        ("[{name: a, host: b, password: x}]", "7:34: spec.databases[0].password: unknown field; known here: capacity, host, name, port, secret, user"),
        ("[{name: a, host: b, capacity: 0}]", "7:44: spec.databases[0].capacity: '0' is too small; 1 is the least"),
    ],
)  # fmt: skip
def test_a_wrong_database_server_is_told_in_one_line(servers: str, expected: str) -> None:
    text = platform_text().replace("[{name: main, host: postgres}]", servers)
    (complaint,) = complaints(text)
    assert complaint.endswith(expected)


@pytest.mark.parametrize("host", ["postgres", "skep_postgres", "db.example.com", "10.0.0.5", "'2001:db8::5'"])
def test_a_database_server_may_be_a_service_a_name_or_an_address(host: str) -> None:
    assert complaints(platform_text().replace("host: postgres", f"host: {host}")) == []


@pytest.mark.parametrize("domain", ["localhost", "test", "hive.localhost", "x.test"])
def test_plain_http_is_fine_where_nothing_leaves_the_machine(domain: str) -> None:
    assert complaints(platform_text(base_domain=domain, tls="off")) == []


def test_plain_http_elsewhere_must_be_meant() -> None:
    assert complaints(platform_text("insecure: true", base_domain="example.com", tls="off")) == []
    assert complaints(platform_text(base_domain="example.com", tls="certificate")) == []
    assert complaints(platform_text(base_domain="notlocalhost", tls="off")) != []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("plan: pro", "known here: app, database, limits, quotas, worker"),
        ("limit: {}", "5:3: spec.limit: unknown field; did you mean limits?"),
        ("limits: {replicas: many}", "5:22: spec.limits.replicas: 'many' is not a whole number; write digits only, like 2"),
        ("app: {secrets: []}", "5:9: spec.app.secrets: unknown field; known here: image, replicas, resources, settings"),
        ("database: {server: x}", "5:14: spec.database.server: unknown field; known here: connectionLimit, extensions, statementTimeout"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_plan_is_told_in_one_line(spec: str, expected: str) -> None:
    (complaint,) = complaints(plan_text(spec))
    assert complaint.endswith(expected)


def test_a_plan_may_say_nothing() -> None:
    assert complaints(plan_text()) == []
    assert complaints(plan_text() + "spec:\n") == []


def test_keys_without_a_value_count_as_not_written() -> None:
    assert complaints(tenant_text("hosts:\napp:\n  settings:\n  secrets:\ndatabase:\nowner:\nsuspend:\n")) == []


def test_all_errors_of_a_document_are_told_at_once_in_the_order_of_the_text() -> None:
    spec = "hots: [a]\nhosts: [a.b.org, A.org]\napp:\n  replicas: x\n  settings: {k-k: 1, API_KEY: x}\nsuspend: on\n"
    assert [line.split(": ")[1] for line in complaints(tenant_text(spec, name="Acme"))] == [
        "metadata.name", "spec.hots", "spec.hosts[1]", "spec.app.replicas", "spec.app.settings.k-k",
        "spec.app.settings.API_KEY", "spec.suspend",
    ]  # fmt: skip


def test_a_key_of_many_lines_still_gives_one_line() -> None:
    (complaint,) = complaints(tenant_text('"a\\nb": x'))
    assert complaint.startswith("7:3: spec['a\\nb']: unknown field; ")


@pytest.mark.parametrize("fill", ["a", "A", "1", "-", "a-", "a.", "ä", "://", "a:", "-----BEGIN ", "@", "Aa"])
@pytest.mark.parametrize(
    "spec",
    [
        "'{}': x", "owner: '{}'", "hosts: ['{}']", "app: {{image: '{}'}}", "app: {{replicas: '{}'}}", "suspend: '{}'",
        "app: {{settings: {{'{}': x}}}}", "app: {{settings: {{a: '{}'}}}}", "app: {{resources: {{memory: '{}'}}}}",
        "database: {{statementTimeout: '{}'}}", "database: {{server: '{}'}}", "app: {{secrets: [{{name: '{}', secret: x}}]}}",
    ],
)  # fmt: skip
@pytest.mark.timeout(5)
def test_long_values_are_refused_quickly_and_in_one_short_line(spec: str, fill: str) -> None:
    (complaint,) = complaints(tenant_text(spec.format(fill * (200_000 // len(fill)))))
    assert len(complaint) < 500
