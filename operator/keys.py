"""Generated secrets: all derive from one root key, so nothing is stored and everything can be made again.

HKDF-SHA256 (RFC 5869) over key id, owner, purpose and generation; the test vectors in `tests/unit/test_keys.py` are
fixed, because a changed derivation locks every tenant out of its database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from skep.operator.errors import UsageError

FORMAT = "skep-root-key-v1"
KEY_ID = r"[a-z0-9]{1,8}"  # a part of the names of secrets
SCRAM_ITERATIONS = 4096  # PostgreSQL's default; the passwords are 256 random bits, so more rounds buy nothing


@dataclass(frozen=True, slots=True)
class RootKey:
    """32 random bytes and the short public name under which objects refer to them."""

    id: str
    material: bytes = field(repr=False)

    @classmethod
    def generate(cls, key_id: str = "k1") -> RootKey:
        return cls(key_id, secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> RootKey:
        """Read the one-line form that `dump` writes. Raises UsageError without repeating the input."""
        parts = text.strip().split(":")
        if len(parts) == 3 and parts[0] == FORMAT and re.fullmatch(KEY_ID, parts[1]):
            try:
                material = base64.b64decode(parts[2], validate=True)
            except ValueError:
                material = b""
            if len(material) == 32:
                return cls(parts[1], material)
        raise UsageError("the root key is not readable", remedy=f"it is one line, {FORMAT}:<id>:<44 characters>")

    @classmethod
    def read(cls, path: Path) -> RootKey:
        try:
            return cls.parse(path.read_text(encoding="ascii"))
        except UnicodeDecodeError as error:
            raise UsageError(f"the root key {path} is not readable", remedy="it is one line of ASCII") from error
        except OSError as error:
            raise UsageError(
                f"cannot read the root key {path}: {error.strerror}", remedy="`skep init` makes one"
            ) from error

    def dump(self) -> str:
        return f"{FORMAT}:{self.id}:{base64.b64encode(self.material).decode()}\n"

    def derive(self, owner: str, purpose: str, generation: int = 1) -> bytes:
        """32 bytes for *purpose* of *owner* (a tenant's uid, or `platform`)."""
        info = "\0".join(("skep/v1", self.id, owner, purpose, str(generation))).encode()
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self.material)

    def password(self, owner: str, purpose: str, generation: int = 1) -> str:
        """43 URL-safe characters, 256 bits."""
        return base64.urlsafe_b64encode(self.derive(owner, purpose, generation)).rstrip(b"=").decode()

    def verifier(self, owner: str, purpose: str, generation: int = 1) -> str:
        """The SCRAM-SHA-256 verifier of that password. The salt is derived too, so that two verifiers compare."""
        return _verifier(self, owner, purpose, generation)

    def fingerprint(self, data: bytes) -> str:
        """A keyed hash that may stand in a label: it tells whether two secrets are equal and nothing else."""
        key = self.derive("platform", "fingerprint")
        return hmac.new(key, data, hashlib.sha256).hexdigest()[:32]

    @property
    def own_fingerprint(self) -> str:
        """Shown by `doctor` on both sides, so that people can see whether a key file is the swarm's."""
        return hashlib.sha256(b"skep/fingerprint\0" + self.material).hexdigest()[:16]


@lru_cache(maxsize=20_000)  # 1 ms of hashing each, and a fleet's are compared at every resync
def _verifier(keys: RootKey, owner: str, purpose: str, generation: int) -> str:
    salt = keys.derive(owner, f"{purpose}/salt", generation)[:16]
    return scram_verifier(keys.password(owner, purpose, generation), salt)


def scram_verifier(password: str, salt: bytes, iterations: int = SCRAM_ITERATIONS) -> str:
    """What PostgreSQL stores for *password* (RFC 5803); ASCII passwords need no SASLprep."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(value).decode() for value in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"
