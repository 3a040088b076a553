"""What can be wrong with a backup; each says what a person can do."""

from __future__ import annotations


class BackupError(Exception):
    """*reason* is one word for conditions and metrics, *remedy* what to do about it."""

    reason = "BackupFailed"

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ToolMissing(BackupError):
    """restic, rclone or PostgreSQL's tools are not installed here."""

    reason = "ToolMissing"


class Unreachable(BackupError):
    """The repository's place does not answer; trying again may help."""

    reason = "RepositoryUnreachable"


class NoRepository(BackupError):
    """There is nothing yet, or no longer, where the repository should be."""

    reason = "RepositoryMissing"


class WrongKey(BackupError):
    reason = "WrongKey"


class Damaged(BackupError):
    """What is stored is not what was written: a truncated pack, a missing one."""

    reason = "RepositoryDamaged"


class Locked(BackupError):
    """Somebody else works in the repository, or died there."""

    reason = "RepositoryLocked"


class Forbidden(BackupError):
    """The gateway refuses it: another tenant's path, or a deletion."""

    reason = "Forbidden"


class Full(BackupError):
    """No space is left where the repository lies."""

    reason = "RepositoryFull"


class DumpFailed(BackupError):
    """pg_dump did not end well; nothing of it was kept."""

    reason = "DumpFailed"


class NoSnapshot(BackupError):
    reason = "SnapshotMissing"
