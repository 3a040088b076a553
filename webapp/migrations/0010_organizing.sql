-- The organizers' side: a word to the guests of an event that was called off, notes on orders, the log in order of time.

ALTER TABLE event
    ADD COLUMN notice jsonb NOT NULL DEFAULT '{}',   -- why it was cancelled, postponed or moved; shown and mailed
    ADD COLUMN halted_at timestamptz;                -- when that was done last

-- What organizers tell each other about an order. May speak of people: erased with their names.
CREATE TABLE order_note (
    id          uuid PRIMARY KEY,
    order_id    uuid NOT NULL REFERENCES ticket_order ON DELETE CASCADE,
    member_id   uuid REFERENCES member,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX order_note_order ON order_note (order_id, created_at);

CREATE INDEX audit_at ON audit (at DESC, id DESC);
CREATE INDEX audit_actor ON audit (actor_id, at DESC) WHERE actor_id IS NOT NULL;
CREATE INDEX refund_owed ON refund (payment_id) WHERE state = 'owed';
