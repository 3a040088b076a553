-- Events. Texts are {"en": "...", "fr": "..."} with fallback to the event's own language.

CREATE TABLE event (
    id            uuid PRIMARY KEY,
    slug          text NOT NULL UNIQUE,        -- the public address; never changes, links are printed on paper
    status        text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published')),
    language      text NOT NULL,
    timezone      text NOT NULL,               -- IANA name: local times follow it when its rules change
    title         jsonb NOT NULL,
    description   jsonb NOT NULL,
    place         jsonb NOT NULL,
    created_by    uuid NOT NULL REFERENCES member,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at  timestamptz,
    version       integer NOT NULL DEFAULT 1
);

-- When it takes place. Every event has at least one; capacity belongs here, not to the event.
CREATE TABLE event_session (
    id         uuid PRIMARY KEY,
    event_id   uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL CHECK (ends_at > starts_at),
    capacity   integer CHECK (capacity >= 0),  -- NULL: unlimited
    version    integer NOT NULL DEFAULT 1
);
CREATE INDEX event_session_event ON event_session (event_id);
CREATE INDEX event_session_ends ON event_session (ends_at);
