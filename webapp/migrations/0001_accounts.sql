-- Who may sign in. Names and e-mail addresses live in person and nowhere else, so that erasing is one place.

CREATE TABLE person (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('invited', 'member', 'guest')),
    name        text NOT NULL,
    email       text NOT NULL,                 -- trimmed and in lower case, by the app
    language    text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    version     integer NOT NULL DEFAULT 1
);
-- A guest may register as often as they like; one address signs in to one account.
CREATE UNIQUE INDEX person_member_email ON person (email) WHERE kind = 'member';
CREATE UNIQUE INDEX person_invited_email ON person (email) WHERE kind = 'invited';

CREATE TABLE member (
    id             uuid PRIMARY KEY,
    person_id      uuid NOT NULL UNIQUE REFERENCES person,
    password_hash  text NOT NULL,              -- argon2id, encoded with its parameters
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    version        integer NOT NULL DEFAULT 1
);

CREATE TABLE invitation (
    id            uuid PRIMARY KEY,
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    person_id     uuid REFERENCES person,      -- set if the invitation names an address
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz
);

-- A signed-in browser.
CREATE TABLE web_session (
    id            uuid PRIMARY KEY,
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    member_id     uuid NOT NULL REFERENCES member ON DELETE CASCADE,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at    timestamptz NOT NULL          -- the absolute limit; the idle one counts from seen_at
);
CREATE INDEX web_session_member ON web_session (member_id);
CREATE INDEX web_session_expiry ON web_session (expires_at);
