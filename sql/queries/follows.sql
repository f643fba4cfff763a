-- name: follow
-- Lets the viewer ($3, moderating: $2) follow an idea they may see; whether there is one. Repeating it changes nothing.
WITH subject AS (
  SELECT i.municipality_id, i.id FROM ideas AS i WHERE i.municipality_id = $1 AND i.id = $4 AND {idea_visible}
), followed AS (
  INSERT INTO follows (municipality_id, resident_id, idea_id) SELECT municipality_id, $3, id FROM subject
  ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM subject);

-- name: unfollow
-- Ends the viewer's follow of an idea they may see; whether there is one. Repeating it changes nothing.
WITH subject AS (
  SELECT i.municipality_id, i.id FROM ideas AS i WHERE i.municipality_id = $1 AND i.id = $4 AND {idea_visible}
), unfollowed AS (
  DELETE FROM follows AS f USING subject
  WHERE f.municipality_id = $1 AND f.resident_id = $3 AND f.idea_id = subject.id
)
SELECT EXISTS (SELECT FROM subject);

-- name: viewer_marks
-- Those of the ideas that a resident votes for or follows, with the standing vote and whether they follow.
SELECT n.id, v.strength::text, v.cast_at, f.idea_id IS NOT NULL
FROM unnest($3::uuid[]) AS n (id)
LEFT JOIN votes AS v ON v.municipality_id = $1 AND v.idea_id = n.id AND v.resident_id = $2 AND v.voted
LEFT JOIN follows AS f ON f.municipality_id = $1 AND f.resident_id = $2 AND f.idea_id = n.id
WHERE v.voted OR f.idea_id IS NOT NULL;

-- name: follow_page
-- The listed ideas that the viewer follows before ($4, $5), newest follow first.
SELECT f.followed_at, {idea_columns}
FROM follows AS f JOIN ({idea_tables}) ON i.municipality_id = f.municipality_id AND i.id = f.idea_id
WHERE f.municipality_id = $1 AND f.resident_id = $3 AND (f.followed_at, f.idea_id) < ($4::timestamptz, $5::uuid)
  AND i.status NOT IN ('MERGED', 'WITHDRAWN') AND {idea_visible}
ORDER BY f.followed_at DESC, f.idea_id DESC
LIMIT $6;
