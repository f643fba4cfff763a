-- What changed of what everybody may read, votes apart: those are in idea_tallies.changed_xid. Written by triggers, so
-- that no statement can forget it. Nothing of this is on a vote's path: a vote updates none of these tables.

CREATE TABLE public_changes (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  kind text NOT NULL CONSTRAINT public_changes_kind CHECK (kind IN ('IDEA', 'GROUP', 'GROUPS', 'RESIDENT', 'ALL')),
  subject_id uuid CONSTRAINT public_changes_subject CHECK ((subject_id IS NULL) = (kind = 'ALL')),
  scope_ids uuid[] NOT NULL DEFAULT '{}',
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT public_changes_municipality_fkey FOREIGN KEY (municipality_id) REFERENCES municipalities (id)
);
CREATE INDEX public_changes_xid_idx ON public_changes (xid);
COMMENT ON TABLE public_changes IS
  'A log of changes that kept public answers are held against, kept for an hour at least. No text, no votes, no voter.';
COMMENT ON COLUMN public_changes.xid IS 'The transaction that made the change: a feed in commit order, as idea_tallies.changed_xid is.';
COMMENT ON COLUMN public_changes.kind IS
  'IDEA and GROUP: the row; GROUPS: also which groups a list holds; RESIDENT: the name; ALL: too much at once to be told one by one.';
COMMENT ON COLUMN public_changes.scope_ids IS
  'Of an idea, before and after: district, theme, department, post, groups. Lists of these may hold it, or have held it.';

-- The three transition tables have one name each, so one function serves every event it is made for. Above 200 rows a
-- statement is a bulk load: one row tells it.
CREATE FUNCTION note_ideas() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) > 200 FROM (SELECT FROM after_rows LIMIT 201) AS few) THEN
    INSERT INTO public_changes (municipality_id, kind) SELECT DISTINCT municipality_id, 'ALL' FROM after_rows;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO public_changes (municipality_id, kind, subject_id, scope_ids)
    SELECT i.municipality_id, 'IDEA', i.id,
      array_remove(ARRAY[i.district_id, i.theme_id, i.department_id, i.post_id], NULL) || ARRAY(
        SELECT g.group_id FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id AND g.idea_id = i.id)
    FROM after_rows AS i;
  ELSE
    INSERT INTO public_changes (municipality_id, kind, subject_id, scope_ids)
    SELECT i.municipality_id, 'IDEA', i.id,
      ARRAY(
        SELECT DISTINCT scope_id
        FROM unnest(ARRAY[
          i.district_id, i.theme_id, i.department_id, i.post_id, b.district_id, b.theme_id, b.department_id, b.post_id
        ]) AS scope_id
        WHERE scope_id IS NOT NULL
      ) || ARRAY(SELECT g.group_id FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id AND g.idea_id = i.id)
    FROM after_rows AS i JOIN before_rows AS b ON b.municipality_id = i.municipality_id AND b.id = i.id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ideas_noted_insert AFTER INSERT ON ideas REFERENCING NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_ideas();
CREATE TRIGGER ideas_noted_update AFTER UPDATE ON ideas REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_ideas();

CREATE FUNCTION note_idea_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) > 200 FROM (SELECT FROM changed_rows LIMIT 201) AS few) THEN
    INSERT INTO public_changes (municipality_id, kind) SELECT DISTINCT municipality_id, 'ALL' FROM changed_rows;
  ELSIF TG_TABLE_NAME = 'idea_groups' THEN
    INSERT INTO public_changes (municipality_id, kind, subject_id, scope_ids)
    SELECT municipality_id, 'IDEA', idea_id, array_agg(group_id) FROM changed_rows GROUP BY municipality_id, idea_id;
  ELSE
    INSERT INTO public_changes (municipality_id, kind, subject_id)
    SELECT DISTINCT municipality_id, 'IDEA', idea_id FROM changed_rows;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER idea_groups_noted_insert AFTER INSERT ON idea_groups REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_idea_rows();
CREATE TRIGGER idea_groups_noted_update_before AFTER UPDATE ON idea_groups REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_idea_rows();
CREATE TRIGGER idea_groups_noted_update_after AFTER UPDATE ON idea_groups REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_idea_rows();
CREATE TRIGGER idea_groups_noted_delete AFTER DELETE ON idea_groups REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_idea_rows();
CREATE TRIGGER responses_noted_insert AFTER INSERT ON responses REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_idea_rows();

CREATE FUNCTION note_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) > 200 FROM (SELECT FROM after_rows LIMIT 201) AS few) THEN
    INSERT INTO public_changes (municipality_id, kind) SELECT DISTINCT municipality_id, 'ALL' FROM after_rows;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO public_changes (municipality_id, kind, subject_id) SELECT municipality_id, 'GROUPS', id FROM after_rows;
  ELSE
    INSERT INTO public_changes (municipality_id, kind, subject_id)
    SELECT g.municipality_id,
      CASE WHEN (g.display_name, g.kind) = (b.display_name, b.kind) THEN 'GROUP' ELSE 'GROUPS' END, g.id
    FROM after_rows AS g JOIN before_rows AS b ON b.municipality_id = g.municipality_id AND b.id = g.id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER groups_noted_insert AFTER INSERT ON groups REFERENCING NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_groups();
CREATE TRIGGER groups_noted_update AFTER UPDATE ON groups REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_groups();

CREATE FUNCTION note_resident() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public_changes (municipality_id, kind, subject_id) VALUES (NEW.municipality_id, 'RESIDENT', NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER residents_noted_update AFTER UPDATE OF display_name ON residents
FOR EACH ROW WHEN (OLD.display_name IS DISTINCT FROM NEW.display_name) EXECUTE FUNCTION note_resident();

-- Whole rows that go away: by hand alone, since the product removes none. Told as one.
CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public_changes (municipality_id, kind) SELECT DISTINCT municipality_id, 'ALL' FROM before_rows;
  RETURN NULL;
END $$;
CREATE TRIGGER ideas_noted_delete AFTER DELETE ON ideas REFERENCING OLD TABLE AS before_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_removal();
CREATE TRIGGER groups_noted_delete AFTER DELETE ON groups REFERENCING OLD TABLE AS before_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_removal();
CREATE TRIGGER residents_noted_delete AFTER DELETE ON residents REFERENCING OLD TABLE AS before_rows
FOR EACH STATEMENT EXECUTE FUNCTION note_removal();
