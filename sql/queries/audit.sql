-- name: record
-- Appends an entry to a municipality's chain, whose end stays locked until the transaction is over: the last thing a
-- transaction does.
SELECT append_audit_entry($1, $2, $3, $4, $5);

-- name: chains
-- Every municipality that has a chain or could have one, by the id in the entries themselves, with its slug and head.
SELECT c.id, m.slug, h.sequence, h.hash
FROM (
  SELECT id FROM municipalities UNION SELECT municipality_id FROM audit_heads UNION SELECT municipality_id FROM audit_entries
) AS c (id)
LEFT JOIN municipalities AS m ON m.id = c.id
LEFT JOIN audit_heads AS h ON h.municipality_id = c.id
ORDER BY m.slug, c.id;

-- name: entries
-- A chain from its start, for whoever recomputes it.
SELECT {entry_columns} FROM audit_entries AS e WHERE e.municipality_id = $1 ORDER BY e.sequence;

-- fragment: entry_columns
e.sequence, trim_scale(extract(epoch FROM e.at) * 1000000)::text, e.actor_id, e.act, e.subject_id, e.details,
e.previous_hash, e.hash

-- name: heads
-- The ends of all chains.
SELECT m.slug, h.sequence, h.hash FROM audit_heads AS h JOIN municipalities AS m ON m.id = h.municipality_id ORDER BY m.slug;

-- name: entry_page
-- A municipality's entries before $2, the newest first.
SELECT {entry_columns} FROM audit_entries AS e
WHERE e.municipality_id = $1 AND e.sequence < $2
ORDER BY e.sequence DESC
LIMIT $3;

-- name: subject_types
-- Of which type those of the ids are that can be read as objects.
SELECT o.id, o.type
FROM (
  SELECT r.id, 'Resident' AS type FROM residents AS r WHERE r.municipality_id = $1 AND r.id = ANY($2::uuid[])
  UNION ALL
  SELECT i.id, 'Idea' FROM ideas AS i WHERE i.municipality_id = $1 AND i.id = ANY($2::uuid[])
  UNION ALL
  SELECT g.id, 'Group' FROM groups AS g WHERE g.municipality_id = $1 AND g.id = ANY($2::uuid[])
  UNION ALL
  SELECT s.id, 'Response' FROM responses AS s WHERE s.municipality_id = $1 AND s.id = ANY($2::uuid[])
  UNION ALL
  SELECT f.id, 'Official' FROM officials AS f WHERE f.municipality_id = $1 AND f.id = ANY($2::uuid[])
  UNION ALL
  SELECT d.id, 'Department' FROM departments AS d WHERE d.municipality_id = $1 AND d.id = ANY($2::uuid[])
) AS o;
