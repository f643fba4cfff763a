-- name: unprepared
-- Up to $2 ideas whose TRENDING of today or tomorrow isn't beside their tally, locked until the transaction ends, each
-- with these two days. Passes over rows that somebody else holds, so that it never waits while it holds others.
WITH days AS MATERIALIZED (
  SELECT id, even_day(today) AS even, odd_day(today) AS odd
  FROM (SELECT id, (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM municipalities WHERE id = $1) AS m
), late AS MATERIALIZED (
  (SELECT t.idea_id FROM idea_tallies AS t, days WHERE t.municipality_id = days.id AND t.even_day < days.even LIMIT $2)
  UNION
  (SELECT t.idea_id FROM idea_tallies AS t, days WHERE t.municipality_id = days.id AND t.even_day > days.even LIMIT $2)
  UNION
  (SELECT t.idea_id FROM idea_tallies AS t, days WHERE t.municipality_id = days.id AND t.odd_day < days.odd LIMIT $2)
  UNION
  (SELECT t.idea_id FROM idea_tallies AS t, days WHERE t.municipality_id = days.id AND t.odd_day > days.odd LIMIT $2)
)
SELECT t.idea_id, days.even, days.odd
FROM days, late JOIN idea_tallies AS t ON t.municipality_id = $1 AND t.idea_id = late.idea_id
LIMIT $2
FOR NO KEY UPDATE OF t SKIP LOCKED;

-- name: prepare_trending
-- Puts the TRENDING scores of days $2 and $3 beside the tallies of ideas $4. Needs their locks to be held from an
-- earlier statement, since it reads their day buckets as they stand when it begins.
UPDATE idea_tallies AS t SET even_day = $2::date, even_score = s.even, odd_day = $3::date, odd_score = s.odd
FROM (
  SELECT late.id,
    coalesce(sum(d.vote_count * greatest(14 - ($2::date - d.day), 0)) FILTER (WHERE d.day <= $2::date), 0) AS even,
    coalesce(sum(d.vote_count * greatest(14 - ($3::date - d.day), 0)) FILTER (WHERE d.day <= $3::date), 0) AS odd
  FROM unnest($4::uuid[]) AS late (id)
  LEFT JOIN tally_days AS d ON d.municipality_id = $1 AND d.idea_id = late.id AND d.day > least($2::date, $3::date) - 14
  GROUP BY late.id
) AS s
WHERE t.municipality_id = $1 AND t.idea_id = s.id;
