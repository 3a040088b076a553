-- What must run in time, and mails that may have to wait for a mail server longer than a night.

-- A timed task that failed: when it is tried again. A task without a row is well.
CREATE TABLE chore (
    task      text PRIMARY KEY,
    attempts  integer NOT NULL,
    retry_at  timestamptz NOT NULL,
    error     text NOT NULL
);

ALTER TABLE job ALTER COLUMN max_attempts SET DEFAULT 16; -- 15 s doubled to 6 h: about 38 hours of trying
CREATE INDEX job_done ON job (done_at) WHERE done_at IS NOT NULL;

ALTER TABLE event ADD COLUMN erased_at timestamptz;  -- when names, addresses and answers of its guests were erased
CREATE INDEX waiting_entry_offered ON waiting_entry (voucher_id) WHERE state = 'offered';
