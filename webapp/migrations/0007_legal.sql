-- Imprint, privacy and terms. Each saving is a row of its own, so that what a buyer agreed to stays readable.

CREATE TABLE legal_text (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('imprint', 'privacy', 'terms')),
    body        jsonb NOT NULL,
    created_by  uuid REFERENCES member,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX legal_text_kind ON legal_text (kind, id DESC);

ALTER TABLE ticket_order ADD COLUMN terms_id uuid REFERENCES legal_text;  -- which terms the buyer accepted
