-- Statements of the log are planned once per connection: for each set of values Postgres would plan
-- them anew, which costs more than running them.
ALTER FUNCTION append_events SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION read_streams SET plan_cache_mode = force_generic_plan;

-- A page of the log. VOLATILE, so that each statement sees what was committed before it. When there
-- is nothing beyond `after` no lock has to be looked at.
CREATE OR REPLACE FUNCTION read_feed(after bigint, count_max integer)
RETURNS TABLE (
  "position" bigint, stream text, revision integer, id uuid, type text, data text, meta text,
  "recordedMs" double precision
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  settled bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'the feed must be read in READ COMMITTED';
  END IF;
  IF (SELECT last_value - (NOT is_called)::integer FROM event_position) <= after THEN
    RETURN;
  END IF;
  settled := readable_position();
  RETURN QUERY
  SELECT e.position, e.stream, e.revision, e.id, e.type, e.data, e.meta,
    floor(date_part('epoch', e.recorded_at) * 1000)
  FROM event e
  WHERE e.position > after AND e.position <= settled
  ORDER BY e.position
  LIMIT count_max;
END $$;

-- The function of migration 0009 also starts checkpoints. Nearly always all of them are there, and
-- two plain statements move them: it is asked for the rest only.
ALTER FUNCTION move_checkpoints RENAME TO move_or_start_checkpoints;

-- Moves each checkpoint that still stands where it was read; raises unless all of them moved. A
-- function, so that the statements behind it in the transaction need not wait for its answer.
--
-- Rows are locked in the order of their names, so that two processes cannot wait for each other.
CREATE FUNCTION move_checkpoints(
  names text[], wholes text[], versions integer[], froms text[], tos text[], gen text
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  moves integer;
BEGIN
  PERFORM FROM projection_checkpoint c
  WHERE c.name = ANY (names) AND c.generation = gen
  ORDER BY c.name FOR UPDATE;
  GET DIAGNOSTICS moves = ROW_COUNT;
  IF moves <> cardinality(names) THEN
    PERFORM move_or_start_checkpoints(names, wholes, versions, froms, tos, gen);
    RETURN;
  END IF;
  UPDATE projection_checkpoint c SET position = m."to", updated_at = now()
  FROM unnest(names, versions, froms, tos) AS m (name, version, "from", "to")
  WHERE c.name = m.name AND c.generation = gen
    AND c.version = m.version AND c.position = m."from";
  GET DIAGNOSTICS moves = ROW_COUNT;
  IF moves <> cardinality(names) THEN
    RAISE EXCEPTION 'another process moved a checkpoint' USING ERRCODE = 'WE001';
  END IF;
END
$$;
