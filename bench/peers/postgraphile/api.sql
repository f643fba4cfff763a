-- What PostGraphile is given to look at: the page's tables of the municipality `bench`, as views with smart tags.
-- The municipality is a constant of the views, which saves PostGraphile the transaction that a setting would need.
CREATE SCHEMA bench_api;
DO $$
DECLARE bench record;
BEGIN
  SELECT id, vote_strength INTO bench FROM municipalities WHERE slug = 'bench';
  EXECUTE format('CREATE VIEW bench_api.ideas AS
    SELECT t.idea_id AS id, i.title, t.vote_count, i.author_id, i.theme_id
    FROM idea_tallies t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
    WHERE t.municipality_id = %L AND i.listed', bench.id);
  EXECUTE format('CREATE VIEW bench_api.residents AS SELECT id, display_name FROM residents WHERE municipality_id = %L', bench.id);
  EXECUTE format('CREATE VIEW bench_api.themes AS SELECT id, names->>''en'' AS name FROM themes WHERE municipality_id = %L', bench.id);
  EXECUTE format('CREATE VIEW bench_api.votes AS
    SELECT idea_id, resident_id, strength >= %L AS counts FROM votes WHERE municipality_id = %L AND voted', bench.vote_strength, bench.id);
END $$;
COMMENT ON VIEW bench_api.ideas IS
  E'@primaryKey id\n@foreignKey (author_id) references residents (id)|@fieldName author\n@foreignKey (theme_id) references themes (id)|@fieldName theme';
COMMENT ON VIEW bench_api.residents IS E'@primaryKey id';
COMMENT ON VIEW bench_api.themes IS E'@primaryKey id';
COMMENT ON VIEW bench_api.votes IS E'@primaryKey idea_id,resident_id';
