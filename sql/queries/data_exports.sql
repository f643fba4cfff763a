-- fragment: data_export_columns
e.id, e.requested_at, e.ready_at, e.expires_at, e.taken_at

-- name: new_export_id
-- The id of an export to be, of which its secret is made.
SELECT uuidv7();

-- name: lock_requests
-- Lets one request of a person at a time count and create, until the transaction ends. Not a row lock: votes take those.
SELECT pg_advisory_xact_lock(hashtextextended('data exports of ' || $1::uuid || $2::uuid, 0));

-- name: requested_lately
-- Whether somebody asked for a copy within the last day.
SELECT EXISTS (
  SELECT FROM data_exports AS e WHERE e.municipality_id = $1 AND e.resident_id = $2 AND e.requested_at > now() - interval '1 day'
);

-- name: request_export
-- A copy to be made.
INSERT INTO data_exports (municipality_id, id, resident_id, secret_hash) VALUES ($1, $2, $3, $4);

-- name: exports_of
-- The copies somebody asked for, the newest first.
SELECT {data_export_columns} FROM data_exports AS e
WHERE e.municipality_id = $1 AND e.resident_id = $2
ORDER BY e.id DESC
LIMIT $3;

-- name: hold_export
-- Of whom a copy is to be made, locked until the transaction ends; no row where it was made, or isn't wanted any more.
SELECT e.resident_id FROM data_exports AS e WHERE e.municipality_id = $1 AND e.id = $2 AND e.ready_at IS NULL FOR UPDATE;

-- name: add_part
-- A piece of a document.
INSERT INTO data_export_parts (municipality_id, export_id, number, content) VALUES ($1, $2, $3, $4);

-- name: finish_export
-- The document is whole, and can be fetched for so many days.
UPDATE data_exports SET
  ready_at = date_trunc('milliseconds', clock_timestamp()),
  expires_at = date_trunc('milliseconds', clock_timestamp()) + make_interval(days => $3)
WHERE municipality_id = $1 AND id = $2;

-- name: take_export
-- Its owner fetches a document, once; no row where it can't be.
UPDATE data_exports SET taken_at = clock_timestamp()
WHERE municipality_id = $1 AND resident_id = $2 AND secret_hash = $3 AND taken_at IS NULL AND expires_at > clock_timestamp()
RETURNING id;

-- name: part
-- A piece of a document.
SELECT content FROM data_export_parts WHERE municipality_id = $1 AND export_id = $2 AND number = $3;

-- name: drop_parts
-- A document that was fetched.
DELETE FROM data_export_parts WHERE municipality_id = $1 AND export_id = $2;

-- name: prune_parts
-- Forgets documents that expired, and those whose fetching broke off.
DELETE FROM data_export_parts AS p USING data_exports AS e
WHERE e.municipality_id = p.municipality_id AND e.id = p.export_id
  AND (e.expires_at < now() OR e.taken_at < now() - interval '1 hour');

-- name: prune_exports
-- Forgets that copies were asked for, long ago.
DELETE FROM data_exports WHERE requested_at < now() - interval '30 days' AND coalesce(expires_at, '-infinity') < now();
