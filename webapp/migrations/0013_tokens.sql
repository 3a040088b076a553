-- Who asks by a program: a team's tokens, and devices at a door. Secrets as SHA-256 only; a revoked row stays, so that
-- nobody wonders whose scans these were.

CREATE TABLE api_token (
    id            uuid PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('team', 'device')),
    label         text NOT NULL CHECK (label <> ''),
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    scopes        text[] NOT NULL CHECK (cardinality(scopes) > 0),
    all_events    boolean NOT NULL,            -- false: those of api_token_event, and none if they are gone
    created_by    uuid REFERENCES member ON DELETE SET NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at       timestamptz,                 -- written at most every few minutes
    revoked_at    timestamptz,
    version       integer NOT NULL DEFAULT 1
);

CREATE TABLE api_token_event (
    token_id  uuid NOT NULL REFERENCES api_token ON DELETE CASCADE,
    event_id  uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    PRIMARY KEY (token_id, event_id)
);
CREATE INDEX api_token_event_event ON api_token_event (event_id);

-- The code that a device reads from an organizer's screen: once, and soon. The device's own token is made then.
CREATE TABLE enrolment (
    id           uuid PRIMARY KEY,
    code_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(code_sha256) = 32),
    label        text NOT NULL CHECK (label <> ''),
    event_ids    uuid[] NOT NULL CHECK (cardinality(event_ids) > 0),
    created_by   uuid REFERENCES member ON DELETE SET NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    token_id     uuid REFERENCES api_token      -- set once it was used
);

-- What was answered to a request with an Idempotency-Key. The answer may hold names and secrets: it is sealed with the
-- token and the key, of which nothing is stored but a hash.
CREATE TABLE idempotency (
    token_id        uuid NOT NULL REFERENCES api_token ON DELETE CASCADE,
    key_sha256      bytea NOT NULL CHECK (octet_length(key_sha256) = 32),
    request_sha256  bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    status          integer,                   -- NULL: not answered yet
    answer          bytea,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (token_id, key_sha256)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

ALTER TABLE audit DROP CONSTRAINT audit_actor_check;
ALTER TABLE audit ADD CONSTRAINT audit_actor_check
    CHECK (actor IN ('member', 'buyer', 'provider', 'clock', 'token'));
