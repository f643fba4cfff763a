-- name: enqueue
-- A job for any worker, once this transaction is committed and $3 has passed; pgqueuer's trigger tells the workers then.
INSERT INTO pgqueuer (entrypoint, payload, priority, status, execute_after) VALUES ($1, $2, 0, 'queued', now() + $3::interval);

-- name: prune_log
-- Forgets what became of jobs $1 days ago.
DELETE FROM pgqueuer_log WHERE created < now() - make_interval(days => $1);
