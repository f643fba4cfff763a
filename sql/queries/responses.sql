-- fragment: response_columns
r.id, r.idea_id, r.kind, r.body, r.reasons, r.next_step, r.next_step_due_at, r.official_id, r.department_id,
r.to_department_id, r.to_official_id, r.status_after::text, r.created_at

-- name: acting_official
-- As which official an account acts; null for everybody else.
SELECT official_id FROM residents WHERE municipality_id = $1 AND id = $2;

-- name: respond_to_idea
-- Appends a response to a locked idea and writes what it does: status, owner and clock, whose first times stay. The
-- tally is touched so that boards and subscribers learn of it; a response never changes whether an idea is listed.
WITH response AS (
  INSERT INTO responses AS r (municipality_id, idea_id, kind, body, reasons, next_step, next_step_due_at, official_id,
    department_id, to_department_id, to_official_id, status_before, status_after)
  SELECT $1, i.id, $3, $4, $5, $6, $7, $8, i.department_id, $9, $10, i.status, $11::text::idea_status
  FROM ideas AS i WHERE i.municipality_id = $1 AND i.id = $2
  RETURNING r.id, r.created_at
), idea AS (
  UPDATE ideas AS i SET
    status = $11::text::idea_status, department_id = $12, post_id = $13,
    first_response_at = coalesce(i.first_response_at, response.created_at),
    answered_at = CASE WHEN $3 = 'DECISION' THEN coalesce(i.answered_at, response.created_at) ELSE i.answered_at END,
    version = i.version + 1, updated_at = response.created_at
  FROM response WHERE i.municipality_id = $1 AND i.id = $2
), tally AS (
  UPDATE idea_tallies SET version = version + 1, changed_xid = pg_current_xact_id()::text::bigint
  WHERE municipality_id = $1 AND idea_id = $2
)
SELECT id FROM response;

-- name: responses_by_id
-- The responses asked for whose ideas the viewer may see, in any order. $2 viewer moderates, $3 viewer.
SELECT {response_columns}
FROM responses AS r JOIN ideas AS i ON i.municipality_id = r.municipality_id AND i.id = r.idea_id
WHERE r.municipality_id = $1 AND r.id = ANY($4::uuid[]) AND {idea_visible};

-- name: latest_responses
-- The newest response of each idea that has any. Whoever may see an idea may see these.
SELECT latest.*
FROM unnest($2::uuid[]) AS parent (id) CROSS JOIN LATERAL (
  SELECT {response_columns}
  FROM responses AS r WHERE r.municipality_id = $1 AND r.idea_id = parent.id
  ORDER BY r.id DESC
  LIMIT 1
) AS latest;

-- name: response_pages
-- Of each idea the responses beyond $3, oldest first. Whoever may see an idea may see these.
SELECT parent.number, page.*
FROM unnest($2::uuid[]) WITH ORDINALITY AS parent (id, number) CROSS JOIN LATERAL (
  SELECT {response_columns}
  FROM responses AS r WHERE r.municipality_id = $1 AND r.idea_id = parent.id AND r.id > $3
  ORDER BY r.id
  LIMIT $4
) AS page
ORDER BY parent.number, page.id;
