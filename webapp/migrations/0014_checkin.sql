-- Who came in. A list is a door: which ticket types it lets in, and when it opens.

CREATE TABLE checkin_list (
    id             uuid PRIMARY KEY,
    event_id       uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    session_id     uuid REFERENCES event_session ON DELETE CASCADE,  -- NULL: all sessions
    label          text NOT NULL CHECK (label <> ''),
    opens_minutes  integer CHECK (opens_minutes >= 0),  -- before a ticket's session starts; NULL: at any time
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    version        integer NOT NULL DEFAULT 1
);
CREATE INDEX checkin_list_event ON checkin_list (event_id);

-- A list without rows here is for every type.
CREATE TABLE checkin_list_type (
    list_id  uuid NOT NULL REFERENCES checkin_list ON DELETE CASCADE,
    type_id  uuid NOT NULL REFERENCES ticket_type ON DELETE CASCADE,
    PRIMARY KEY (list_id, type_id)
);

-- One scan that let somebody in, or that a door without network did. What contradicts another row, or what we know
-- today, is kept and marked; only unmarked rows count.
CREATE TABLE checkin (
    id           uuid PRIMARY KEY,
    list_id      uuid NOT NULL REFERENCES checkin_list ON DELETE CASCADE,
    position_id  uuid REFERENCES order_position ON DELETE CASCADE,  -- NULL: no ticket has this code (any more)
    code_sha256  bytea NOT NULL CHECK (octet_length(code_sha256) = 32),
    nonce        text NOT NULL CHECK (nonce <> ''),     -- made by the device: the same scan told twice is one
    gate         text NOT NULL,                         -- the device's name at that time
    token_id     uuid REFERENCES api_token,             -- NULL: an organizer, by hand
    at           timestamptz NOT NULL,                  -- by the device's clock, never later than received_at
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    mark         text CHECK (mark IN ('already_redeemed', 'unknown', 'cancelled', 'unpaid', 'wrong_list', 'too_early',
                                      'incomplete')),
    undone_at    timestamptz,
    UNIQUE (list_id, nonce, code_sha256)
);
CREATE UNIQUE INDEX checkin_once ON checkin (list_id, position_id) WHERE mark IS NULL AND undone_at IS NULL;
CREATE INDEX checkin_position ON checkin (position_id);

-- Codes are found by their hash: a door's list holds nothing else of them.
CREATE INDEX order_position_code ON order_position (sha256(secret));

-- Asked by who lets people in, not by the checkout.
ALTER TABLE question ADD COLUMN at_door boolean NOT NULL DEFAULT false;

INSERT INTO checkin_list (id, event_id, label) SELECT id, id, CASE language WHEN 'fr' THEN 'Entrée' ELSE 'Entrance' END FROM event;
