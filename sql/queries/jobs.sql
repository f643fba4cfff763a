-- name: enqueue
-- A job for any worker, once this transaction is committed; pgqueuer's trigger tells the workers then.
INSERT INTO pgqueuer (entrypoint, payload, priority, status) VALUES ($1, $2, 0, 'queued');
