-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS idea_tallies_odd_idx ON idea_tallies (municipality_id, odd_day, odd_score DESC, idea_id);
