-- Row triggers see no TRUNCATE: what is append-only refuses that too. Whoever owns the tables can still switch triggers
-- off, which is why the log is a chain (docs/adr/0033).
CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER responses_no_truncate BEFORE TRUNCATE ON responses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER moderations_no_truncate BEFORE TRUNCATE ON moderations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
