-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS ideas_filters_idx ON ideas (municipality_id, id)
INCLUDE (status, hidden_at, author_id, district_id, theme_id, department_id, post_id, due_at);
