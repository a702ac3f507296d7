-- Who held seats of a show is a lock and nothing else, and goes with the holds once the show is long over.
CREATE INDEX holder_of_show ON holder (show_id);
