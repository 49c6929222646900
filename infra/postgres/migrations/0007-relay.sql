-- How far the log has been published to Kafka, and who may go on: one row for all processes.
CREATE TABLE relay_checkpoint (
  name text PRIMARY KEY,
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  position text,
  mark text
) WITH (fillfactor = 50);
INSERT INTO relay_checkpoint (name) VALUES ('events');
