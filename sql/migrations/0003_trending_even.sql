-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idea_tallies_even_idx ON idea_tallies (municipality_id, even_day, even_score DESC, idea_id);
