-- The services that hand over events of their own. Which edge takes them, until when the others leave it alone; an event is
-- written once whoever takes it, by its id.
CREATE TABLE feed (
    name        TEXT PRIMARY KEY,
    runner      UUID NOT NULL,
    lease_until BIGINT NOT NULL
);
