-- What organizers choose for the whole site, in one row.
CREATE TABLE site_option (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    mail_intro     jsonb NOT NULL DEFAULT '{}',     -- texts by language, as in event
    mail_footer    jsonb NOT NULL DEFAULT '{}',
    reply_to       text NOT NULL DEFAULT '',        -- empty: what the tenant's settings say
    confirms_free  boolean NOT NULL DEFAULT false,  -- free tickets count once the buyer has answered a mail
    version        integer NOT NULL DEFAULT 1
);
INSERT INTO site_option DEFAULT VALUES;

-- A link that was mailed proves that its reader has the address; the one that a checkout leads to does not.
ALTER TABLE order_link ADD COLUMN by_mail boolean NOT NULL DEFAULT false;
