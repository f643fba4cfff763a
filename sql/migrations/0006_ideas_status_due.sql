-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS ideas_status_due_idx ON ideas (municipality_id, status, due_at, id);
