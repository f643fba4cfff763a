-- What PostGraphile is given to look at: the page's tables of the municipality `bench`, as views with smart tags.
-- The municipality is a constant of the views, which saves PostGraphile the transaction that a setting would need.
CREATE SCHEMA bench_api;
DO $$
DECLARE bench record;
BEGIN
  SELECT id, vote_strength INTO bench FROM municipalities WHERE slug = 'bench';
  -- latest_response_id costs nothing where it isn't selected.
  EXECUTE format('CREATE VIEW bench_api.ideas AS
    SELECT t.idea_id AS id, i.title, t.vote_count, a.display_name AS author_name, i.theme_id, i.post_id, i.reaction_due_at, i.answer_due_at,
      i.first_response_at, i.answered_at, i.due_at < now() AS is_overdue,
      (SELECT r.id FROM responses r WHERE r.municipality_id = %1$L AND r.idea_id = i.id ORDER BY r.id DESC LIMIT 1) AS latest_response_id
    FROM idea_tallies t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
    LEFT JOIN residents a ON (a.municipality_id, a.id) = (i.municipality_id, i.author_id)
    WHERE t.municipality_id = %1$L AND i.listed', bench.id);
  EXECUTE format('CREATE VIEW bench_api.responses AS SELECT id, kind, body, created_at FROM responses WHERE municipality_id = %L', bench.id);
  EXECUTE format('CREATE VIEW bench_api.votes AS
    SELECT idea_id, resident_id, strength >= %L AS counts FROM votes WHERE municipality_id = %L AND voted', bench.vote_strength, bench.id);
  EXECUTE format('CREATE VIEW bench_api.follows AS SELECT idea_id, resident_id FROM follows WHERE municipality_id = %L', bench.id);
END $$;
COMMENT ON VIEW bench_api.ideas IS
  E'@primaryKey id\n@foreignKey (latest_response_id) references responses (id)|@fieldName latestResponse';
COMMENT ON VIEW bench_api.responses IS E'@primaryKey id';
COMMENT ON VIEW bench_api.votes IS E'@primaryKey idea_id,resident_id';
COMMENT ON VIEW bench_api.follows IS E'@primaryKey idea_id,resident_id';
