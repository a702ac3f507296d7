-- The log of the seats: what changes of a show's seats is written down with it, version by version, so that each
-- replica can keep the seats of shows on sale in memory and follow (I-SEAT-FOLLOWED).
--
-- The version of a show's seats. Its lock is the last one that a transaction takes, so versions appear in the
-- order of commits. A show whose seats never changed has no row and version 0.
CREATE TABLE seat_version (
    show_id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);

-- What each version changed: a JSON list of pairs, a seat's number and the instant from which it is free (0: it
-- is free; 2^63 - 1: it is sold). The newest minutes are kept; who is further behind reads the rows of the seats.
CREATE TABLE seat_change (
    show_id    BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    seats      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (show_id, version)
);
-- They are forgotten oldest first.
CREATE INDEX seat_change_old ON seat_change (changed_at);
