-- name: take_time
-- For what reads a whole large table; holds until the transaction ends.
SELECT set_config('statement_timeout', '60s', true);
