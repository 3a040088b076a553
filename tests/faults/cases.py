"""The faults that a hive must survive, one sentence each. Tests name theirs: `@pytest.mark.fault(6, 12)`.

tests/unit/test_fault_cases.py holds both against each other: no case without a test, no fault test without a case.
"""

from __future__ import annotations

CASES = {
    1: "SIGKILL after every single write of a reconcile, each in turn: the reference's end, no orphan, nothing twice",
    2: "each hint of a change dropped once: the next resync repairs it, within its period",
    3: "a stream of changes that is open but silent: noticed by time, opened again, listed in full; a metric moves",
    4: "more than 256 changes while disconnected, or an engine that restarts: nothing is missed",
    5: "hints doubled and out of order: no more writes",
    6: "an empty or truncated list, answered with 200: nothing is deleted, and it is told",
    7: "most tenants gone from a new revision: the brake holds, `skep approve` releases",
    8: "the leader's manager dies in the middle of a reconcile: it goes on elsewhere, nothing is provisioned twice",
    9: "quorum lost and back: told with a reason, bounded waiting, recovers by itself",
    10: "an engine frozen for two minutes: bounded concurrency, alive but not ready, catches up",
    11: "a foreign `docker service update` in a loop: read again, planned again, bounded retries",
    12: "nothing to do: no write, for any number of resyncs",
    13: "PostgreSQL down, slow, out of connections, its disk full: only steps of databases wait, nothing is made again",
    14: "an image that is missing, crashes, or never gets healthy: the old version serves, and it is not tried again",
    15: "a rotation of secrets interrupted at each step: no failed login at any moment",
    16: "the dumper or the repository killed, or the repository full: the last good backup stays, the next run works",
    17: "a tenant restored while its neighbours work: only that tenant is touched",
    18: "one invalid document among 200: 199 are followed, one is told with file, line and cause",
    19: "a cold start of 500 tenants: all get ready, fairly, within bounds of memory and connections",
    20: "a label, grant or setting changed by hand: repaired, and counted as drift",
    21: "an old and a new operator on the same objects: no churn",
    22: "a tenant's name taken again after a retained deletion: never handed the old database silently",
    23: "PostgreSQL on an empty volume, or another server: no CREATE DATABASE, told, and a person approves by name",
    24: "every status, then every record deleted: the same uids, and nothing else to do",
    25: "revisions A, B, A the plain Docker way: A counts; the newest removed: the source vanished, nothing is deleted",
    26: "`docker stack rm` of skep itself: tenants run on; deployed again: no write to a tenant",
    27: "20 requests a second during an image update, an edit of a plan, a node's drain: every answer is 200",
}

WAITING = {
    15: "there is no rotation yet: it comes with `skep rotate`",
    16: "there are no backups yet: they bring their own repository and dumper",
    17: "there is no restore yet: it comes with backups",
}
