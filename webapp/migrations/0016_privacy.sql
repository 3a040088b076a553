-- What must stay gone when rows of an earlier day are put back, and what must not act on the world until a person says so.

-- kind: erased persons, disabled members, revoked tokens and devices (id), unsubscribed addresses (SHA-256 of the
-- address in hex), the highest number of an invoice series (its name, and the number). A restore reads what was written
-- here later than its rows and does it again.
CREATE TABLE tombstone (
    kind       text NOT NULL CHECK (kind IN ('person', 'member', 'token', 'device', 'unsubscribed', 'invoice')),
    id         text NOT NULL,
    value      bigint,
    buried_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, id)
);
CREATE INDEX tombstone_buried ON tombstone (buried_at);

-- At most one row: since when what would happen by itself is held back.
CREATE TABLE quarantine (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    since  timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE job ADD COLUMN parked_at timestamptz;  -- waits for a person: nobody claims it
CREATE INDEX job_parked ON job (kind) WHERE parked_at IS NOT NULL;
