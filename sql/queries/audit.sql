-- name: record
-- Appends an entry to a municipality's chain, whose end stays locked until the transaction is over: the last thing a
-- transaction does.
SELECT append_audit_entry($1, $2, $3, $4, $5);
