-- One statement, one transaction: the open check under the idea's lock, the vote, the tally, the day bucket.
-- $1 municipality, $2 idea, $3 resident, $4 voted, $5 the municipality's vote strength, $6 its time zone
WITH idea AS (
  SELECT i.municipality_id, i.id, date_trunc('milliseconds', clock_timestamp()) AS now
  FROM ideas i
  WHERE i.municipality_id = $1 AND i.id = $2 AND i.listed AND i.status IN ('OPEN', 'UNDER_REVIEW')
  FOR NO KEY UPDATE
), vote AS (
  INSERT INTO votes AS v (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
  SELECT r.municipality_id, idea.id, r.id, $4, r.strength, 'PHONE', CASE WHEN $4 THEN now END, now
  FROM idea JOIN residents r ON r.municipality_id = idea.municipality_id AND r.id = $3
  ON CONFLICT (municipality_id, idea_id, resident_id) DO UPDATE
  SET voted = excluded.voted, strength = excluded.strength, channel = excluded.channel,
    cast_at = coalesce(v.cast_at, excluded.cast_at), decided_at = excluded.decided_at
  WHERE v.decided_at <= excluded.decided_at
  RETURNING new.municipality_id, new.idea_id, (new.cast_at AT TIME ZONE $6)::date AS day, (new.decided_at AT TIME ZONE $6)::date AS today,
    (new.voted AND new.strength = 'DEVICE')::integer - coalesce(old.voted AND old.strength = 'DEVICE', false)::integer AS device,
    (new.voted AND new.strength = 'EMAIL')::integer - coalesce(old.voted AND old.strength = 'EMAIL', false)::integer AS email,
    (new.voted AND new.strength = 'STRONG')::integer - coalesce(old.voted AND old.strength = 'STRONG', false)::integer AS strong,
    (new.voted AND new.strength >= $5)::integer - coalesce(old.voted AND old.strength >= $5, false)::integer AS counts
), tally AS (
  UPDATE idea_tallies t
  SET device_count = t.device_count + device, email_count = t.email_count + email, strong_count = t.strong_count + strong,
    vote_count = t.vote_count + counts, version = t.version + 1, changed_xid = pg_current_xact_id()::text::bigint,
    was_vote_count = CASE WHEN t.changed_on < today THEN t.vote_count ELSE t.was_vote_count END, changed_on = today
  FROM vote
  WHERE (t.municipality_id, t.idea_id) = (vote.municipality_id, vote.idea_id) AND (device, email, strong) <> (0, 0, 0)
  RETURNING t.vote_count
), days AS (
  INSERT INTO tally_days AS d (municipality_id, idea_id, day, vote_count, changed_on)
  SELECT municipality_id, idea_id, day, counts, today FROM vote WHERE counts <> 0
  ON CONFLICT (municipality_id, idea_id, day) DO UPDATE
  SET vote_count = d.vote_count + excluded.vote_count, changed_on = excluded.changed_on,
    was_vote_count = CASE WHEN d.changed_on < excluded.changed_on THEN d.vote_count ELSE d.was_vote_count END
)
SELECT EXISTS (SELECT FROM idea) AS open,
  coalesce((SELECT vote_count FROM tally), (SELECT t.vote_count FROM idea_tallies t WHERE t.municipality_id = $1 AND t.idea_id = $2)) AS "voteCount"
