-- Who may do what: owners everything, organizers what they were given for single events (docs/adr/0019).

ALTER TABLE member
    ADD COLUMN role text NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'organizer')), -- so far everybody might do everything
    ADD COLUMN disabled_at timestamptz;

-- What somebody who was invited will be. Who was invited without a row here is the first organizer: an owner.
CREATE TABLE invited (
    person_id   uuid PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    role        text NOT NULL CHECK (role IN ('owner', 'organizer')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- By person, so that somebody who was only invited has them already.
CREATE TABLE event_right (
    person_id  uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    event_id   uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    may        text NOT NULL CHECK (may IN ('manage', 'orders', 'checkin')),
    PRIMARY KEY (person_id, event_id, may)
);
CREATE INDEX event_right_event ON event_right (event_id);

ALTER TABLE web_session ADD COLUMN agent text NOT NULL DEFAULT '';  -- "Firefox, Linux": to tell one's sessions apart

-- The secret address of a member's calendar of events. One each.
CREATE TABLE calendar_feed (
    member_id     uuid PRIMARY KEY REFERENCES member ON DELETE CASCADE,
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
