"""The operator's word about itself, in the labels of config `skep.operator`, so that the command line can follow it.

`skep diff` needs the few settings that end up in what tenants get; `skep doctor` compares versions and key prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skep.operator import formats, names
from skep.operator.keys import RootKey
from skep.operator.settings import Settings

_PREFIX = "skep.operator."
_REFRESH_S = Settings().refresh_s  # of operators that did not say it


@dataclass(frozen=True, slots=True)
class Announcement:
    """*key_fingerprint* tells whether a root key file is this hive's and nothing more."""

    version: str
    key_id: str
    key_fingerprint: str
    proxies: tuple[str, ...]
    addresses: tuple[str, ...]
    edge_suffix: str
    refresh_s: float = _REFRESH_S

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Announcement:
        """Raises TerminalError for a newer format."""
        formats.check(names.OPERATOR, labels)

        def label(field: str) -> str:
            return labels.get(f"{_PREFIX}{field}", "")

        return cls(
            label("version"),
            label("key_id"),
            label("key_fingerprint"),
            tuple(label("proxies").split()),
            tuple(label("addresses").split()),
            label("edge_suffix"),
            float(label("refresh_s") or _REFRESH_S),
        )

    def labels(self) -> dict[str, str]:
        return {
            names.KIND: "operator",
            f"{_PREFIX}version": self.version,
            f"{_PREFIX}key_id": self.key_id,
            f"{_PREFIX}key_fingerprint": self.key_fingerprint,
            f"{_PREFIX}proxies": " ".join(self.proxies),
            f"{_PREFIX}addresses": " ".join(self.addresses),
            f"{_PREFIX}edge_suffix": self.edge_suffix,
            f"{_PREFIX}refresh_s": f"{self.refresh_s:g}",
        }

    def settings(self) -> Settings:
        """The operator's settings as far as tenants notice them."""
        return Settings(
            proxies=self.proxies, addresses=self.addresses, edge_suffix=self.edge_suffix, refresh_s=self.refresh_s
        )

    @classmethod
    def of(cls, version: str, keys: RootKey, settings: Settings) -> Announcement:
        """What an operator with these says of itself."""
        return cls(
            version,
            keys.id,
            keys.own_fingerprint,
            settings.proxies,
            settings.addresses,
            settings.edge_suffix,
            settings.refresh_s,
        )
