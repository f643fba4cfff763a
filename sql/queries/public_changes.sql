-- name: changes_since
-- What changed of what everybody may read, by transactions from $1 on that were not yet over in the snapshot $2 (null:
-- all of them), at most $3 rows: the idea's votes as they stand, and the lists that may hold it. With it the place
-- to read on from: the snapshot, the oldest transaction still running, and the newest change there is. Numbers from
-- the future, which a restored database has, are no change. One row without a kind where nothing changed.
WITH place AS MATERIALIZED (
  SELECT pg_current_snapshot() AS snapshot, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS beyond
)
SELECT
  p.snapshot::text, pg_snapshot_xmin(p.snapshot)::text::bigint,
  greatest(
    (SELECT coalesce(max(t.changed_xid), 0) FROM idea_tallies AS t WHERE t.changed_xid < p.beyond),
    (SELECT coalesce(max(c.xid), 0) FROM public_changes AS c WHERE c.xid < p.beyond)
  ) AS newest,
  change.*
FROM place AS p LEFT JOIN LATERAL (
  SELECT 'VOTES' AS kind, t.changed_xid AS xid, t.municipality_id, t.idea_id AS subject_id, t.vote_count,
    array_remove(ARRAY[i.district_id, i.theme_id], NULL) || ARRAY(
      SELECT g.group_id FROM idea_groups AS g WHERE g.municipality_id = t.municipality_id AND g.idea_id = t.idea_id
    ) AS scope_ids
  FROM idea_tallies AS t JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
  WHERE t.changed_xid >= $1 AND t.changed_xid < p.beyond
    AND ($2::text IS NULL OR NOT pg_visible_in_snapshot(t.changed_xid::text::xid8, $2::text::pg_snapshot))
  UNION ALL
  SELECT c.kind, c.xid, c.municipality_id, c.subject_id, coalesce(t.vote_count, 0), c.scope_ids
  FROM public_changes AS c
  LEFT JOIN idea_tallies AS t ON t.municipality_id = c.municipality_id AND t.idea_id = c.subject_id
  WHERE c.xid >= $1 AND c.xid < p.beyond
    AND ($2::text IS NULL OR NOT pg_visible_in_snapshot(c.xid::text::xid8, $2::text::pg_snapshot))
  LIMIT $3
) AS change ON true;

-- name: next_due
-- In how many seconds the next promise of a municipality becomes late; null where none does.
SELECT extract(epoch FROM min(due_at) - now())::double precision FROM ideas WHERE municipality_id = $1 AND due_at >= now();

-- name: prune_public_changes
-- Forgets what no kept answer can be older than.
DELETE FROM public_changes WHERE id < uuidv7(interval '-1 hour');
