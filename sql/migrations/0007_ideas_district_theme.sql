-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS ideas_district_theme_idx ON ideas (municipality_id, district_id, theme_id, id)
INCLUDE (status, hidden_at, author_id, department_id, post_id, due_at);
