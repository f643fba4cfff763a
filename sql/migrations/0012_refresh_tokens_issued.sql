-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS refresh_tokens_issued_idx ON refresh_tokens (issued_at);
