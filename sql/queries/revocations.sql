-- name: revoke_account
-- No token of an account is good any more, nor will one be.
INSERT INTO revocations (municipality_id, kind, subject_id, until)
SELECT $1::uuid, 'ACCOUNT', $2::uuid, {tokens_end}
FROM (SELECT 'COMMAND'::session_method AS method, coalesce(max(s.expires_at) FILTER (WHERE s.method = 'COMMAND'), now()) AS expires_at
  FROM sessions AS s WHERE s.municipality_id = $1 AND s.resident_id = $2) AS s;

-- fragment: tokens_end
-- Past the end of the last token there may be: they live for 15 minutes, those of commands as long as their session,
-- and clocks differ.
greatest(CASE WHEN s.method = 'COMMAND' THEN s.expires_at + interval '5 minutes' END, now() + interval '20 minutes')

-- name: reopen
-- What an account has open is closed, so that it comes back with the roles of now. Who never had a session has nothing.
INSERT INTO revocations (municipality_id, kind, subject_id, until)
SELECT $1::uuid, 'ROLES', $2::uuid, now() + interval '1 minute'
WHERE EXISTS (SELECT FROM sessions WHERE municipality_id = $1 AND resident_id = $2);

-- fragment: feed_place
-- Where a snapshot stands in the feed: the oldest transaction still running, and the first that it can't know of.
place AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_running,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS beyond
)

-- fragment: feed_row
-- The place to read on from, then the row: how many seconds are left of it.
least(p.oldest_running, 1 + (SELECT coalesce(max(n.xid), 0) FROM revocations AS n WHERE n.xid < p.beyond)),
r.id, r.kind, r.subject_id, extract(epoch FROM r.until - now())::double precision

-- name: standing_revocations
-- All that are not over, whichever transaction wrote them; one row without an id where there are none.
WITH {feed_place}
SELECT {feed_row} FROM place AS p LEFT JOIN revocations AS r ON r.until > now();

-- name: revocations_since
-- Those of transactions from $1 on, also such as are over by now. Numbers from the future, which a restored database
-- has, are of rows that were there at the start. One row without an id where there are none.
WITH {feed_place}
SELECT {feed_row} FROM place AS p LEFT JOIN revocations AS r ON r.xid >= $1 AND r.xid < p.beyond;

-- name: prune_revocations
-- Forgets what is over, an hour later: no socket is older, however long its process could not read.
DELETE FROM revocations WHERE until < now() - interval '1 hour';
