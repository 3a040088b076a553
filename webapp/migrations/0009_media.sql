-- Pictures of events: made small by us, named by their content, in the database so that rows and media of one instant
-- travel together. Originals are not kept.

CREATE TABLE media (
    sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    format      text NOT NULL CHECK (format IN ('webp', 'jpg')),
    body        bytea NOT NULL CHECK (octet_length(body) <= 409600),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE picture (
    event_id    uuid PRIMARY KEY REFERENCES event ON DELETE CASCADE,
    alt         jsonb NOT NULL DEFAULT '{}',   -- what it shows, for who does not see it; empty: decoration
    variants    jsonb NOT NULL,                -- [{"sha256": hex, "format", "width", "height"}], all in media
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
