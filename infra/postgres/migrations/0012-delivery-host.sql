-- The host of a delivery ends where that of its URL does, also in front of a query and behind a
-- backslash, and is never longer than an index takes: a row that could not be written would stop
-- the read models of every org. As deliveryHost() of domain/ports/delivery-store.ts.
ALTER TABLE webhook_outbox DROP COLUMN host;
ALTER TABLE webhook_outbox ADD COLUMN host text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
  lower(left(split_part(translate(url, '?#\', '///'), '/', 3), 255))
) STORED;

CREATE INDEX webhook_outbox_pending ON webhook_outbox (host, next_attempt_at, delivery_id)
  WHERE status = 'pending';
