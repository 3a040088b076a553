-- Invoices and credit notes: numbered without gaps, never changed, kept for ten years (docs/adr/0018).

-- Who sells: the tenant's identity on invoices. No row: no invoices are made.
CREATE TABLE seller (
    id          boolean PRIMARY KEY DEFAULT true CHECK (id),  -- one row
    legal_name  text NOT NULL,
    address     text NOT NULL,
    vat_id      text NOT NULL DEFAULT '',
    footer      text NOT NULL DEFAULT '',      -- bank, register, or why no tax is charged
    prefix      text NOT NULL DEFAULT '',      -- before the year in a number
    timezone    text NOT NULL,                 -- whose calendar says the day and the year
    version     integer NOT NULL DEFAULT 1
);

-- The last number given, a series and a year. Its row is locked until the invoice is committed: a number that is taken
-- back with its transaction is given again.
CREATE TABLE invoice_counter (
    series  text NOT NULL CHECK (series IN ('invoice', 'credit')),
    year    integer NOT NULL,
    last    integer NOT NULL CHECK (last >= 0),
    PRIMARY KEY (series, year)
);

-- The buyer's name on an invoice outlives the event's retention: a copy of its own, erased with the invoice.
ALTER TABLE person DROP CONSTRAINT person_kind_check;
ALTER TABLE person ADD CONSTRAINT person_kind_check CHECK (kind IN ('invited', 'member', 'guest', 'billed'));

CREATE TABLE invoice (
    id           uuid PRIMARY KEY,
    series       text NOT NULL CHECK (series IN ('invoice', 'credit')),
    year         integer NOT NULL,
    number       integer NOT NULL CHECK (number >= 1),
    label        text NOT NULL,                -- the number as it is printed
    order_id     uuid NOT NULL REFERENCES ticket_order,
    corrects_id  uuid REFERENCES invoice,      -- which invoice a credit note takes back, wholly or in part
    person_id    uuid NOT NULL REFERENCES person,
    issued_on    date NOT NULL,
    currency     text NOT NULL,
    gross        bigint NOT NULL CHECK (gross > 0),
    net          bigint NOT NULL,
    tax          bigint NOT NULL,
    document     jsonb NOT NULL,               -- everything printed but the buyer: seller, lines, rates, words' language
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (series, year, number),
    CHECK (gross = net + tax),
    CHECK ((series = 'credit') = (corrects_id IS NOT NULL))
);
CREATE UNIQUE INDEX invoice_order_once ON invoice (order_id) WHERE series = 'invoice';
CREATE INDEX invoice_order ON invoice (order_id);
CREATE INDEX invoice_corrects ON invoice (corrects_id) WHERE corrects_id IS NOT NULL;
CREATE INDEX invoice_issued ON invoice (issued_on);
-- Nobody changes an invoice, by mistake or otherwise.
CREATE RULE invoice_stays AS ON UPDATE TO invoice DO INSTEAD NOTHING;
