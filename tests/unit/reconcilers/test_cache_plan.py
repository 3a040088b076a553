"""A cache user: what it may do, and that a server's words about it compare."""

from __future__ import annotations

import hashlib

import pytest

from skep.operator.reconcilers.cache.plan import COMMANDS, SetUser, arguments, desire, parse, plan, user_name

UID = "0123456789abcdef" * 2
NAME = user_name("acme", UID)
WANTED = desire(NAME, UID, "secret")
HASH = hashlib.sha256(b"secret").hexdigest()
SAID = f"user {NAME} on sanitize-payload #{HASH} ~{UID}:* resetchannels -@all " + " ".join(f"+{c}" for c in COMMANDS)


def test_the_name_proves_whose_it_is() -> None:
    assert NAME == "t_acme_01234567"


def test_what_is_wanted_is_recognised() -> None:
    assert parse(SAID) == WANTED
    assert plan(WANTED, parse(SAID)) == ()


def test_the_order_of_commands_and_what_versions_say_differently_means_nothing() -> None:
    words = " ".join(f"+{command}" for command in reversed(COMMANDS))
    assert parse(f"user {NAME} on #{HASH} ~{UID}:* alldbs resetchannels -@all {words}") == WANTED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(" on ", " off ", id="switched off"),
        pytest.param("~" + UID, "~", id="everybody's keys"),
        pytest.param(f"#{HASH}", f"#{HASH} #{'0' * 64}", id="a second password"),
        pytest.param(f"#{HASH}", "nopass", id="no password"),
        pytest.param("resetchannels", "&*", id="channels"),
        pytest.param("-@all", "+@all", id="all commands"),
        pytest.param(" +get", "", id="a command less"),
        pytest.param(" +get", " +get +keys", id="a command more"),
        pytest.param("resetchannels", "resetchannels (~* +get)", id="a selector"),
    ],
)
def test_a_change_by_hand_is_seen(before: str, after: str) -> None:
    assert before in SAID
    assert plan(WANTED, parse(SAID.replace(before, after, 1))) == (SetUser(WANTED, is_new=False),)


def test_a_missing_user_is_made_and_everything_is_taken_away_first() -> None:
    (action,) = plan(WANTED, None)
    assert action.is_new
    words = arguments(action.user)
    assert words[:5] == [NAME, "reset", "on", "resetchannels", "-@all"]
    assert "secret" not in words


def test_no_command_reaches_neighbours_or_stops_the_server() -> None:
    dangerous = {
        "keys",
        "scan",
        "eval",
        "evalsha",
        "script",
        "function",
        "fcall",
        "config",
        "acl",
        "flushall",
        "flushdb",
    }
    dangerous |= {
        "publish",
        "subscribe",
        "psubscribe",
        "monitor",
        "client",
        "info",
        "debug",
        "shutdown",
        "select",
        "move",
    }
    assert not dangerous & {command.partition("|")[0] for command in COMMANDS}
