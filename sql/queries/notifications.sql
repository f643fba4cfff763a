-- fragment: notification_columns
n.id, n.kind::text, n.idea_id, n.response_id, n.created_at, n.read_at

-- name: notify_followers
-- Tells the next $8 followers of an idea beyond $7, but not the one who acted, of an event: that there is a response
-- where $5 is one, and that the status changed where $6. Returns these followers, told now or by an earlier run.
WITH told AS (
  SELECT f.resident_id FROM follows AS f
  WHERE f.municipality_id = $1 AND f.idea_id = $2 AND f.resident_id > $7 AND f.resident_id IS DISTINCT FROM $4
  ORDER BY f.resident_id
  LIMIT $8
), kinds AS (
  SELECT 'RESPONSE'::notification_kind AS kind WHERE $5::uuid IS NOT NULL
  UNION ALL
  SELECT 'STATUS_CHANGED' WHERE $6::boolean
), notified AS (
  INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id, response_id)
  SELECT $1, told.resident_id, $3, kinds.kind, $2, $5 FROM told CROSS JOIN kinds
  ON CONFLICT ON CONSTRAINT notifications_once DO NOTHING
)
SELECT resident_id FROM told ORDER BY resident_id;

-- name: notifications_by_id
-- Those of the ids that are a resident's own notifications, in any order.
SELECT {notification_columns} FROM notifications AS n
WHERE n.municipality_id = $1 AND n.resident_id = $2 AND n.id = ANY($3::uuid[]);

-- name: notification_page
-- A resident's notifications older than $3, newest first.
SELECT {notification_columns} FROM notifications AS n
WHERE n.municipality_id = $1 AND n.resident_id = $2 AND n.id < $3
ORDER BY n.id DESC
LIMIT $4;

-- name: unread_notification_page
-- The same of those not yet read.
SELECT {notification_columns} FROM notifications AS n
WHERE n.municipality_id = $1 AND n.resident_id = $2 AND n.id < $3 AND n.read_at IS NULL
ORDER BY n.id DESC
LIMIT $4;

-- name: notifications_since
-- A resident's notifications from $3 on, oldest first.
SELECT {notification_columns} FROM notifications AS n
WHERE n.municipality_id = $1 AND n.resident_id = $2 AND n.id >= $3
ORDER BY n.id;

-- name: prune_notifications
-- Forgets up to $2 of what people were told more than $1 days ago.
DELETE FROM notifications WHERE (municipality_id, resident_id, id) IN (
  SELECT municipality_id, resident_id, id FROM notifications WHERE id < uuidv7(make_interval(days => -$1::integer)) LIMIT $2
);

-- name: id_of_now
-- An id as PostgreSQL makes them at this moment.
SELECT uuidv7();

-- name: unread_count
-- How many notifications a resident has not read.
SELECT count(*) FROM notifications WHERE municipality_id = $1 AND resident_id = $2 AND read_at IS NULL;

-- name: mark_notifications_read
-- Marks a resident's notifications up to and including one of them as read; whether there is that one.
WITH last AS (
  SELECT id FROM notifications WHERE municipality_id = $1 AND resident_id = $2 AND id = $3
), marked AS (
  UPDATE notifications AS n SET read_at = date_trunc('milliseconds', clock_timestamp())
  FROM last
  WHERE n.municipality_id = $1 AND n.resident_id = $2 AND n.id <= last.id AND n.read_at IS NULL
)
SELECT EXISTS (SELECT FROM last);
