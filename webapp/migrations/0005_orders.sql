-- Who buys what: carts that hold places for a while, orders with their positions, payments, answers, waiting.

CREATE TABLE cart (
    id            uuid PRIMARY KEY,
    event_id      uuid NOT NULL REFERENCES event ON DELETE CASCADE,
    buyer_sha256  bytea NOT NULL CHECK (octet_length(buyer_sha256) = 32),  -- of the browser's secret
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at    timestamptz NOT NULL,
    renew_until   timestamptz NOT NULL,        -- no renewal goes beyond
    version       integer NOT NULL DEFAULT 1,
    UNIQUE (buyer_sha256, event_id)
);
CREATE INDEX cart_expiry ON cart (expires_at);

-- One place in a cart. It is held for as long as its cart lives, and its price with it.
CREATE TABLE cart_hold (
    id          uuid PRIMARY KEY,
    cart_id     uuid NOT NULL REFERENCES cart ON DELETE CASCADE,
    type_id     uuid NOT NULL REFERENCES ticket_type ON DELETE CASCADE,
    session_id  uuid NOT NULL REFERENCES event_session ON DELETE CASCADE,
    voucher_id  uuid REFERENCES voucher ON DELETE CASCADE,
    price       bigint NOT NULL CHECK (price >= 0),
    tax_bp      integer NOT NULL CHECK (tax_bp BETWEEN 0 AND 10000)
);
CREATE INDEX cart_hold_cart ON cart_hold (cart_id);
CREATE INDEX cart_hold_type ON cart_hold (type_id);
CREATE INDEX cart_hold_voucher ON cart_hold (voucher_id) WHERE voucher_id IS NOT NULL;

CREATE TABLE ticket_order (
    id          uuid PRIMARY KEY,
    event_id    uuid NOT NULL REFERENCES event,
    code        text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{6}$'),
    state       text NOT NULL CHECK (state IN ('pending', 'paid', 'expired', 'cancelled')),
    person_id   uuid NOT NULL REFERENCES person,   -- who bought
    cart_id     uuid UNIQUE,                       -- what it was made of: the same cart gives the same order
    language    text NOT NULL,
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    due_at      timestamptz,                       -- a pending order may be marked expired from then on; NULL: never
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    paid_at     timestamptz,
    closed_at   timestamptz,                       -- when it expired or was cancelled
    version     integer NOT NULL DEFAULT 1
);
CREATE INDEX ticket_order_event ON ticket_order (event_id, created_at);
CREATE INDEX ticket_order_person ON ticket_order (person_id);
CREATE INDEX ticket_order_due ON ticket_order (due_at) WHERE state = 'pending';

-- The secret of a link that shows the order. Each mail carries its own, so a database shows none.
CREATE TABLE order_link (
    token_sha256  bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    order_id      uuid NOT NULL REFERENCES ticket_order ON DELETE CASCADE,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX order_link_order ON order_link (order_id);

CREATE TABLE order_position (
    id            uuid PRIMARY KEY,
    order_id      uuid NOT NULL REFERENCES ticket_order,
    rank          integer NOT NULL,
    session_id    uuid NOT NULL REFERENCES event_session,
    type_id       uuid NOT NULL REFERENCES ticket_type,
    seat          text,
    person_id     uuid REFERENCES person,       -- whose ticket; NULL: the buyer's
    voucher_id    uuid REFERENCES voucher,
    gross         bigint NOT NULL CHECK (gross >= 0),
    net           bigint NOT NULL,
    tax           bigint NOT NULL,
    tax_bp        integer NOT NULL,
    secret        bytea NOT NULL UNIQUE CHECK (octet_length(secret) = 16),  -- in the ticket's QR code, printed again on demand
    is_held       boolean NOT NULL DEFAULT true,   -- takes a place: its order is pending or paid, itself not cancelled
    cancelled_at  timestamptz,
    version       integer NOT NULL DEFAULT 1,
    CHECK (gross = net + tax),
    CHECK (NOT is_held OR cancelled_at IS NULL)
);
CREATE INDEX order_position_order ON order_position (order_id);
CREATE INDEX order_position_held_type ON order_position (type_id) WHERE is_held;
CREATE INDEX order_position_held_session ON order_position (session_id) WHERE is_held;
CREATE INDEX order_position_voucher ON order_position (voucher_id) WHERE voucher_id IS NOT NULL;
CREATE INDEX order_position_person ON order_position (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE payment (
    id            uuid PRIMARY KEY,
    order_id      uuid NOT NULL REFERENCES ticket_order,
    provider      text NOT NULL,
    state         text NOT NULL CHECK (state IN ('created', 'pending', 'confirmed', 'failed', 'refunded')),
    amount        bigint NOT NULL CHECK (amount >= 0),
    reference     text,                          -- the provider's own name for it
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at  timestamptz,
    version       integer NOT NULL DEFAULT 1,
    UNIQUE (provider, reference)
);
CREATE INDEX payment_order ON payment (order_id);

-- Money that has to go back. Somebody or a provider does it; this says that it is owed, and when it was done.
CREATE TABLE refund (
    id          uuid PRIMARY KEY,
    payment_id  uuid NOT NULL REFERENCES payment,
    amount      bigint NOT NULL CHECK (amount > 0),
    reason      text NOT NULL CHECK (reason IN ('cancelled', 'late', 'twice')),
    state       text NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'done', 'failed')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at     timestamptz,
    version     integer NOT NULL DEFAULT 1
);
CREATE INDEX refund_payment ON refund (payment_id);

CREATE TABLE answer (
    id           uuid PRIMARY KEY,
    position_id  uuid NOT NULL REFERENCES order_position ON DELETE CASCADE,
    question_id  uuid NOT NULL REFERENCES question,
    value        text NOT NULL,                 -- dates and times as typed, a moment in UTC
    version      integer NOT NULL DEFAULT 1,
    UNIQUE (position_id, question_id)
);

CREATE TABLE waiting_entry (
    id          uuid PRIMARY KEY,
    type_id     uuid NOT NULL REFERENCES ticket_type ON DELETE CASCADE,
    person_id   uuid NOT NULL REFERENCES person,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'offered', 'taken', 'gone')),
    voucher_id  uuid REFERENCES voucher,        -- the offer: a voucher that blocks one place until it expires
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    version     integer NOT NULL DEFAULT 1
);
CREATE INDEX waiting_entry_type ON waiting_entry (type_id, created_at) WHERE state = 'waiting';

-- A registration becomes a free order that is paid. Codes: a permutation of the numbers below 27^6 (the factor has no
-- divisor in common with 27), written with 27 letters that do not look alike; so all differ and none follows another.
INSERT INTO ticket_order (id, event_id, code, state, person_id, language, currency, created_at, paid_at)
    SELECT r.id, s.event_id,
           (SELECT string_agg(substr('ABCDEFGHJKLMNPQRSTUVWXYZ379', 1 + (r.number / (27 ^ place)::bigint % 27)::integer, 1), '')
            FROM generate_series(0, 5) AS place),
           'paid', r.person_id, p.language, e.currency, r.created_at, r.created_at
    FROM (SELECT *, (row_number() OVER (ORDER BY id) * 73687871 + 12345678) % 387420489 AS number FROM registration) r
    JOIN event_session s ON s.id = r.session_id JOIN event e ON e.id = s.event_id JOIN person p ON p.id = r.person_id;
INSERT INTO order_link (token_sha256, order_id, created_at) SELECT token_sha256, id, created_at FROM registration;
INSERT INTO order_position (id, order_id, rank, session_id, type_id, gross, net, tax, tax_bp, secret)
    SELECT id, id, 0, session_id, session_id, 0, 0, 0, 0,
           substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FROM 1 FOR 16)
    FROM registration;
INSERT INTO payment (id, order_id, provider, state, amount, created_at, confirmed_at)
    SELECT id, id, 'free', 'confirmed', 0, created_at, created_at FROM registration;
DROP TABLE registration;
