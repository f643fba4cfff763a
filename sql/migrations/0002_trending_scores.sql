-- TRENDING of two days beside each tally: of the even and of the odd one, counted from 2000-01-01. So today's can be
-- read in order off an index while tomorrow's is made ready. Rows that are there already get the score of a day long
-- past, which is 0; jobs/trending.py makes the present ones. See docs/adr/0020.
ALTER TABLE idea_tallies
ADD COLUMN even_day date NOT NULL DEFAULT '1970-01-01',
ADD COLUMN even_score integer NOT NULL DEFAULT 0,
ADD COLUMN odd_day date NOT NULL DEFAULT '1970-01-01',
ADD COLUMN odd_score integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN idea_tallies.even_score IS 'The TRENDING score as it is or will be on even_day, by the votes so far.';
COMMENT ON COLUMN idea_tallies.odd_score IS 'The TRENDING score as it is or will be on odd_day, by the votes so far.';
COMMENT ON COLUMN idea_tallies.even_day IS 'Today or tomorrow where the row is prepared; else the score is made when it is read.';
COMMENT ON COLUMN idea_tallies.odd_day IS 'Likewise.';

CREATE FUNCTION even_day(today date) RETURNS date LANGUAGE sql IMMUTABLE
RETURN today + (today - date '2000-01-01') % 2;
CREATE FUNCTION odd_day(today date) RETURNS date LANGUAGE sql IMMUTABLE
RETURN today + 1 - (today - date '2000-01-01') % 2;
COMMENT ON FUNCTION even_day IS 'The even one of a day and the next.';
COMMENT ON FUNCTION odd_day IS 'The odd one of a day and the next.';
