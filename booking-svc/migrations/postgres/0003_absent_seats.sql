-- A seat that nobody ever took has no row any more: the first hold of a seat inserts it. With a foreign key each such hold would lock its
-- show's row, and all holds of a show would meet there. Shows are never deleted, and what is held is a seat of a show that was read.
-- Programs from before create shows with all their rows, which stay as good as they were.
ALTER TABLE seat DROP CONSTRAINT seat_show_id_fkey;
