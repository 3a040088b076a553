-- Who wants to hear of what happens here, and what they were told.

CREATE TABLE webhook (
    id               uuid PRIMARY KEY,
    url              text NOT NULL,
    secret           text NOT NULL,             -- both sides sign with it, so it cannot be a hash
    topics           text[] NOT NULL CHECK (cardinality(topics) > 0),
    is_active        boolean NOT NULL DEFAULT true,
    disabled_reason  text CHECK (disabled_reason IN ('gone', 'hand')),
    created_by       uuid REFERENCES member ON DELETE SET NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    version          integer NOT NULL DEFAULT 1
);

-- One row a call. The message's id is the same in all its calls.
CREATE TABLE webhook_call (
    id          uuid PRIMARY KEY,
    webhook_id  uuid NOT NULL REFERENCES webhook ON DELETE CASCADE,
    message_id  uuid NOT NULL,
    topic       text NOT NULL,
    object_id   uuid NOT NULL,
    happened_at timestamptz NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    status      integer,                        -- NULL: no answer came
    error       text,
    took_ms     integer NOT NULL
);
CREATE INDEX webhook_call_webhook ON webhook_call (webhook_id, id DESC);
CREATE INDEX webhook_call_at ON webhook_call (at);

-- In the transaction of what happened, whoever wrote it: a job for each webhook that wants to hear of it. docs/adr/0021
CREATE FUNCTION tell_webhooks(topic text, object uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO job (id, kind, payload)
    SELECT gen_random_uuid(), 'webhook.send', jsonb_build_object(
        'webhook', w.id, 'message', gen_random_uuid(), 'topic', $1, 'object', $2, 'at', clock_timestamp())
    FROM webhook w WHERE w.is_active AND $1 = ANY(w.topics)
$$;

CREATE FUNCTION tell_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM tell_webhooks('order.' || NEW.state, NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_new_order AFTER INSERT ON ticket_order FOR EACH ROW
    WHEN (NEW.state = 'paid') EXECUTE FUNCTION tell_of_order();
CREATE TRIGGER tell_of_order AFTER UPDATE OF state ON ticket_order FOR EACH ROW
    WHEN (NEW.state IS DISTINCT FROM OLD.state AND NEW.state IN ('paid', 'cancelled')) EXECUTE FUNCTION tell_of_order();

CREATE FUNCTION tell_of_refund() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM tell_webhooks('order.refunded', (SELECT order_id FROM payment WHERE id = NEW.payment_id));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_refund AFTER UPDATE OF state ON refund FOR EACH ROW
    WHEN (NEW.state IS DISTINCT FROM OLD.state AND NEW.state = 'done') EXECUTE FUNCTION tell_of_refund();

CREATE FUNCTION tell_of_checkin() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM tell_webhooks('checkin.made', NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_checkin AFTER INSERT ON checkin FOR EACH ROW
    WHEN (NEW.mark IS NULL) EXECUTE FUNCTION tell_of_checkin();

CREATE FUNCTION tell_of_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM tell_webhooks('event.changed', NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_event AFTER UPDATE ON event FOR EACH ROW
    WHEN (NEW.version IS DISTINCT FROM OLD.version) EXECUTE FUNCTION tell_of_event();
