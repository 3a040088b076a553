-- What can be bought: an event's money, and per session its pools, ticket types, questions; vouchers.
-- Amounts are bigint in the currency's minor unit; a tax rate is in basis points (550 is 5.5 %).

ALTER TABLE event DROP CONSTRAINT event_status_check;
UPDATE event SET status = 'live' WHERE status = 'published';
ALTER TABLE event
    ALTER COLUMN created_by DROP NOT NULL,                  -- samples are nobody's
    ADD CONSTRAINT event_status_check CHECK (status IN ('draft', 'live', 'cancelled', 'postponed')),
    ADD COLUMN currency text NOT NULL DEFAULT 'EUR' CHECK (currency ~ '^[A-Z]{3}$'), -- fixed after the first sale, by the app
    ADD COLUMN pays_on_site boolean NOT NULL DEFAULT true,
    ADD COLUMN transfer_details text NOT NULL DEFAULT '',  -- whom to transfer to; empty: no transfers
    ADD COLUMN transfer_days integer NOT NULL DEFAULT 7 CHECK (transfer_days BETWEEN 1 AND 90),
    ADD COLUMN self_cancel_hours integer DEFAULT 24 CHECK (self_cancel_hours >= 0), -- before the start; NULL: never
    ADD COLUMN max_per_order integer NOT NULL DEFAULT 10 CHECK (max_per_order BETWEEN 1 AND 100);

ALTER TABLE event_session ADD COLUMN title jsonb NOT NULL DEFAULT '{}'; -- empty: its date says enough

-- So many places, shared by the types that draw on it. What is left is counted from rows, never kept as a number.
CREATE TABLE stock_pool (
    id          uuid PRIMARY KEY,
    session_id  uuid NOT NULL REFERENCES event_session ON DELETE CASCADE,
    title       jsonb NOT NULL DEFAULT '{}',
    size        integer CHECK (size >= 0),     -- NULL: unlimited
    version     integer NOT NULL DEFAULT 1
);
CREATE INDEX stock_pool_session ON stock_pool (session_id);

CREATE TABLE ticket_type (
    id              uuid PRIMARY KEY,
    session_id      uuid NOT NULL REFERENCES event_session ON DELETE CASCADE,
    title           jsonb NOT NULL,
    description     jsonb NOT NULL DEFAULT '{}',
    rank            integer NOT NULL DEFAULT 0,   -- order on the page
    price           bigint NOT NULL CHECK (price >= 0),
    tax_bp          integer NOT NULL DEFAULT 0 CHECK (tax_bp BETWEEN 0 AND 10000),
    sales_start     timestamptz,
    sales_end       timestamptz,                  -- NULL: until the session ends
    min_per_order   integer NOT NULL DEFAULT 1 CHECK (min_per_order >= 1),
    max_per_order   integer CHECK (max_per_order >= min_per_order),
    needs_voucher   boolean NOT NULL DEFAULT false,
    is_active       boolean NOT NULL DEFAULT true,
    version         integer NOT NULL DEFAULT 1
);
CREATE INDEX ticket_type_session ON ticket_type (session_id);

-- A type's stock is the least of its pools; a type without pools is unlimited.
CREATE TABLE ticket_type_pool (
    type_id  uuid NOT NULL REFERENCES ticket_type ON DELETE CASCADE,
    pool_id  uuid NOT NULL REFERENCES stock_pool ON DELETE CASCADE,
    PRIMARY KEY (type_id, pool_id)
);
CREATE INDEX ticket_type_pool_pool ON ticket_type_pool (pool_id);

CREATE TABLE question (
    id           uuid PRIMARY KEY,
    event_id     uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    kind         text NOT NULL CHECK (kind IN ('line', 'text', 'yes', 'choice', 'number', 'date', 'time', 'moment')),
    label        jsonb NOT NULL,
    hint         jsonb NOT NULL DEFAULT '{}',
    choices      jsonb NOT NULL DEFAULT '[]',  -- texts by language, in order; an answer names one by its place
    is_required  boolean NOT NULL DEFAULT false,
    rank         integer NOT NULL DEFAULT 0,
    version      integer NOT NULL DEFAULT 1
);
CREATE INDEX question_event ON question (event_id);

-- Asked for these types only; a question without rows here is asked for every ticket.
CREATE TABLE question_type (
    question_id  uuid NOT NULL REFERENCES question ON DELETE CASCADE,
    type_id      uuid NOT NULL REFERENCES ticket_type ON DELETE CASCADE,
    PRIMARY KEY (question_id, type_id)
);

CREATE TABLE voucher (
    id            uuid PRIMARY KEY,
    event_id      uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    code          text NOT NULL CHECK (code = upper(code) AND code <> ''),
    type_id       uuid REFERENCES ticket_type ON DELETE CASCADE,  -- NULL: for every type
    max_uses      integer NOT NULL DEFAULT 1 CHECK (max_uses >= 1),
    effect        text NOT NULL DEFAULT 'none' CHECK (effect IN ('none', 'set', 'subtract', 'percent')),
    value         bigint NOT NULL DEFAULT 0 CHECK (value >= 0),   -- minor units, or basis points off for 'percent'
    blocks_stock  boolean NOT NULL DEFAULT false,                 -- keeps its unused places from everybody else
    expires_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    version       integer NOT NULL DEFAULT 1,
    UNIQUE (event_id, code),
    CHECK (NOT blocks_stock OR type_id IS NOT NULL)
);
CREATE INDEX voucher_type ON voucher (type_id) WHERE blocks_stock;

-- What the first app sold: each session had one kind of free place, limited by its capacity.
INSERT INTO stock_pool (id, session_id, size) SELECT id, id, capacity FROM event_session;
INSERT INTO ticket_type (id, session_id, title, price)
    SELECT id, id, '{"en": "Registration", "fr": "Inscription"}', 0 FROM event_session;
INSERT INTO ticket_type_pool (type_id, pool_id) SELECT id, id FROM event_session;
ALTER TABLE event_session DROP COLUMN capacity;
