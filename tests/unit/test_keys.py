"""Derived secrets. The vectors are fixed: a changed derivation would lock every tenant out of its database."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.errors import UsageError
from skep.operator.keys import RootKey, scram_verifier

ROOT = RootKey("k1", bytes(range(32)))
UID = "0123456789abcdef0123456789abcdef"

VECTORS = [
    pytest.param(
        UID,
        "db-a",
        1,
        "88305a684c8bc080329c1c5b3320867b6a692b213cb849c8720e650b2076d452",
        "iDBaaEyLwIAynBxbMyCGe2ppKyE8uEnIcg5lCyB21FI",
        id="01234567 db-a 1",
    ),
    pytest.param(
        UID,
        "db-b",
        2,
        "8b84ba00775ea148dcae9292e437e58875f0316b7518d87952d89964b5adf1aa",
        "i4S6AHdeoUjcrpKS5DfliHXwMWt1GNh5UtiZZLWt8ao",
        id="01234567 db-b 2",
    ),
    pytest.param(
        UID,
        "db-a",
        3,
        "d60890c3955779a1d2005c3591d4e19d15717da63799562d58c9434438735ab4",
        "1giQw5VXeaHSAFw1kdThnRVxfaY3mVYtWMlDRDhzWrQ",
        id="01234567 db-a 3",
    ),
    pytest.param(
        UID,
        "db-a/salt",
        1,
        "cd944b4d495c9a85b80a9f8d044802f2f627babc29432e6dc8f738f55231e96c",
        "zZRLTUlcmoW4Cp-NBEgC8vYnurwpQy5tyPc49VIx6Ww",
        id="01234567 db-a/salt 1",
    ),
    pytest.param(
        "platform",
        "builder",
        1,
        "92fcc06c8910d5a950a00f6ac0bf2aa61003868664c992e6dd3dd9bfe2bb4158",
        "kvzAbIkQ1alQoA9qwL8qphADhoZkyZLm3T3Zv-K7QVg",
        id="platform builder 1",
    ),
    pytest.param(
        "platform",
        "fingerprint",
        1,
        "d69bdf0405102c97fb70d042985fd08f43b004dae89ba056b6d04738a2423a5a",
        "1pvfBAUQLJf7cNBCmF_Qj0OwBNrom6BWttBHOKJCOlo",
        id="platform fingerprint 1",
    ),
    pytest.param(
        "ffffffffffffffffffffffffffffffff",
        "db-a",
        1,
        "58fca962570d6554762b7be254b8c7fa20192d57b2aecd3eeca24863f859243c",
        "WPypYlcNZVR2K3viVLjH-iAZLVeyrs0-7KJIY_hZJDw",
        id="ffffffff db-a 1",
    ),
]


@pytest.mark.parametrize(("owner", "purpose", "generation", "derived", "password"), VECTORS)
def test_derivations_are_fixed(owner: str, purpose: str, generation: int, derived: str, password: str) -> None:
    assert ROOT.derive(owner, purpose, generation).hex() == derived
    assert ROOT.password(owner, purpose, generation) == password


def test_the_verifier_is_fixed() -> None:
    assert ROOT.verifier(UID, "db-a", 1) == (
        "SCRAM-SHA-256$4096:zZRLTUlcmoW4Cp+NBEgC8g==$QodPpEwTKUIvzmK9Rhk1sji/SME2tqhhC2OK9g25y38=:Xw9qXBF9xMiP4DWSUgAxoehZRuGTzyKuTdTYQfVeHqI="
    )


def test_fingerprints_are_fixed() -> None:
    assert ROOT.fingerprint(b"secret") == "f83004d5b1280a16abf41f31782552d0"
    assert ROOT.own_fingerprint == "3365de3c166f3244"


def test_the_derivation_is_hkdf_of_rfc_5869() -> None:
    """By hand, with nothing but HMAC: extract with an empty salt, expand once."""
    info = b"\0".join((b"skep/v1", b"k1", UID.encode(), b"db-a", b"1"))
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
    assert ROOT.derive(UID, "db-a", 1) == hmac.digest(extracted, info + b"\x01", "sha256")


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """The RFC's own example: user `user`, password `pencil`."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram_verifier("pencil", salt, 4096) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


owners = st.text("0123456789abcdef", min_size=1, max_size=32)
purposes = st.sampled_from(["db-a", "db-b", "builder", "fingerprint"])
generations = st.integers(1, 50)


@given(owners, purposes, generations, owners, purposes, generations)
def test_every_owner_purpose_and_generation_has_a_secret_of_its_own(
    owner: str, purpose: str, generation: int, other_owner: str, other_purpose: str, other_generation: int
) -> None:
    same = (owner, purpose, generation) == (other_owner, other_purpose, other_generation)
    mine, theirs = ROOT.derive(owner, purpose, generation), ROOT.derive(other_owner, other_purpose, other_generation)
    assert (mine == theirs) == same


def test_another_key_or_key_id_gives_other_secrets() -> None:
    keys = [ROOT, RootKey("k2", ROOT.material), RootKey("k1", bytes(32))]
    assert len({key.password(UID, "db-a") for key in keys}) == 3


@given(owners, generations)
def test_a_password_needs_no_escaping_anywhere(owner: str, generation: int) -> None:
    password = ROOT.password(owner, "db-a", generation)
    assert len(password) == 43
    assert password.replace("-", "").replace("_", "").isalnum()
    assert password.isascii()


def test_a_key_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = RootKey.generate("k7")
    path.write_text(made.dump())
    assert RootKey.read(path) == made
    assert RootKey.parse("  " + made.dump() + "\n") == made


def test_generated_keys_differ() -> None:
    assert len({RootKey.generate().material for _ in range(50)}) == 50


B64 = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(B64, id="only the material"),
        pytest.param(f"skep-root-key-v2:k1:{B64}", id="another format"),
        pytest.param(f"skep-root-key-v1:k1:{B64}:x", id="one part more"),
        pytest.param(f"skep-root-key-v1::{B64}", id="no id"),
        pytest.param(f"skep-root-key-v1:K 1:{B64}", id="an id that names no object"),
        pytest.param(f"skep-root-key-v1:../k:{B64}", id="an id with a path"),
        pytest.param(f"skep-root-key-v1:k1:{B64[:-4]}", id="too short"),
        pytest.param(f"skep-root-key-v1:k1:{B64[:-1]}", id="bad padding"),
        pytest.param(f"skep-root-key-v1:k1:{B64[:-2]}*=", id="not base64"),
        pytest.param(f"skep-root-key-v1:k1:{base64.b64encode(bytes(33)).decode()}", id="too long"),
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        RootKey.parse(text)
    assert B64[:20] not in str(caught.value)


def test_a_missing_key_file_says_who_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="skep init"):
        RootKey.read(tmp_path / "nothing")


def test_a_binary_key_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not readable"):
        RootKey.read(path)


def test_a_key_never_shows_its_material() -> None:
    assert "material" not in repr(ROOT)
    assert hashlib.sha256(ROOT.material).hexdigest()[:8] not in ROOT.own_fingerprint
