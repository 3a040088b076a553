-- What is to be done later, and what was done by whom. Both are written in the transaction that causes them.

CREATE TABLE job (
    id            uuid PRIMARY KEY,
    kind          text NOT NULL,
    payload       jsonb NOT NULL,              -- ids only: who reads a queue learns nothing of people
    unique_key    text UNIQUE,                 -- the same cause queues once
    run_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts      integer NOT NULL DEFAULT 0,
    max_attempts  integer NOT NULL DEFAULT 10 CHECK (max_attempts >= 1),
    claimed_at    timestamptz,
    claim         uuid,                        -- whose turn it is: a late answer of an older claim changes nothing
    done_at       timestamptz,
    dead_at       timestamptz,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX job_due ON job (run_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX job_dead ON job (dead_at) WHERE dead_at IS NOT NULL;

CREATE TABLE audit (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor        text NOT NULL CHECK (actor IN ('member', 'buyer', 'provider', 'clock')),
    actor_id     uuid,                         -- of a member
    action       text NOT NULL,
    object_kind  text NOT NULL,
    object_id    uuid NOT NULL,
    fields       text[] NOT NULL DEFAULT '{}'  -- which changed; never their values, some are personal
);
CREATE INDEX audit_object ON audit (object_id, at);
