-- Boards forget nothing of where an idea stood before: what it left is taken off without Redis remembering it.

ALTER TABLE ideas ADD COLUMN left_scope_ids uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN ideas.left_scope_ids IS 'Districts and themes it was moved out of, so that their boards let go of it.';
