-- Tallies and day buckets that differ from the votes they count; zero when every vote was counted exactly once.
WITH counted AS (
  SELECT v.municipality_id, v.idea_id, (v.cast_at AT TIME ZONE m.time_zone)::date AS day,
    count(*) FILTER (WHERE v.strength = 'DEVICE') AS device, count(*) FILTER (WHERE v.strength = 'EMAIL') AS email,
    count(*) FILTER (WHERE v.strength = 'STRONG') AS strong, count(*) FILTER (WHERE v.strength >= m.vote_strength) AS counts
  FROM votes v JOIN municipalities m ON m.id = v.municipality_id
  WHERE v.voted
  GROUP BY 1, 2, 3
), totals AS (
  SELECT municipality_id, idea_id, sum(device) AS device, sum(email) AS email, sum(strong) AS strong, sum(counts) AS counts
  FROM counted GROUP BY 1, 2
)
SELECT
  (SELECT count(*) FROM idea_tallies t LEFT JOIN totals c USING (municipality_id, idea_id)
   WHERE (t.device_count, t.email_count, t.strong_count, t.vote_count)
     IS DISTINCT FROM (coalesce(c.device, 0), coalesce(c.email, 0), coalesce(c.strong, 0), coalesce(c.counts, 0)))
  + (SELECT count(*) FROM tally_days d FULL JOIN counted c USING (municipality_id, idea_id, day)
     WHERE coalesce(d.vote_count, 0) <> coalesce(c.counts, 0)) AS differing
