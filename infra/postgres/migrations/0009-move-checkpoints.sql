-- Moves each checkpoint that still stands where it was read; raises unless all of them moved. A
-- function, so that the statements behind it in the transaction need not wait for its answer.
--
-- Rows are locked in the order of their names, so that two processes cannot wait for each other.
-- `wholes` are the names of the read models themselves: a share that has no row yet starts where
-- the whole stands.
CREATE FUNCTION move_checkpoints(
  names text[], wholes text[], versions integer[], froms text[], tos text[], gen text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  moves integer;
BEGIN
  WITH move AS (
    SELECT * FROM unnest(names, wholes, versions, froms, tos)
      AS m (name, whole, version, "from", "to")
  ), locked AS MATERIALIZED (
    SELECT c.name, c.version, c.position FROM projection_checkpoint c
    WHERE c.generation = gen AND (c.name = ANY (names) OR c.name = ANY (wholes))
    ORDER BY c.name FOR UPDATE OF c
  ), moved AS (
    UPDATE projection_checkpoint c SET position = m."to", updated_at = now()
    FROM move m JOIN locked USING (name)
    WHERE c.name = m.name AND c.generation = gen
      AND c.version = m.version AND c.position = m."from"
    RETURNING c.name
  ), started AS (
    INSERT INTO projection_checkpoint (name, version, generation, position)
    SELECT m.name, m.version, gen, m."to"
    FROM move m LEFT JOIN locked w ON w.name = m.whole
    WHERE w.name IS NULL AND m."from" IS NULL
      OR m.name <> m.whole AND w.version = m.version AND w.position = m."from"
    ORDER BY m.name
    ON CONFLICT DO NOTHING
    RETURNING name
  )
  SELECT count(*) INTO moves FROM (SELECT name FROM moved UNION ALL SELECT name FROM started) AS m;
  IF moves <> cardinality(names) THEN
    RAISE EXCEPTION 'another process moved a checkpoint' USING ERRCODE = 'WE001';
  END IF;
END
$$;
