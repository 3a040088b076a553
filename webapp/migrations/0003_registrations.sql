-- Who comes. How many places are left is counted from these rows, never kept as a number beside them.

CREATE TABLE registration (
    id            uuid PRIMARY KEY,
    session_id    uuid NOT NULL REFERENCES event_session,
    person_id     uuid NOT NULL REFERENCES person,
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32), -- of the secret in the guest's link
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    version       integer NOT NULL DEFAULT 1
);
CREATE INDEX registration_session ON registration (session_id);
CREATE INDEX registration_person ON registration (person_id);
