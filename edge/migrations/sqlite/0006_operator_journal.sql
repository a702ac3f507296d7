-- The operators' journal (I-ACTION-KEPT): what operators and cashiers change through the edge. An action is a row before its change
-- is made, and its outcome is a row of its own afterwards, so nothing is ever updated: an action without an outcome is under way, or
-- the edge was lost meanwhile. Both are kept for good; retention leaves them alone.
CREATE TABLE operator_action (
    action_id  BLOB PRIMARY KEY,
    -- The user; 'anyone' where nobody is asked, and then without a role.
    who        TEXT NOT NULL,
    role       TEXT NOT NULL,
    -- The method of the contract that makes the change, and the id of what it changes.
    what       TEXT NOT NULL,
    target     TEXT NOT NULL,
    -- What there was, as JSON; null when there was nothing.
    before     TEXT,
    trace_id   TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
-- Lists, newest first.
CREATE INDEX operator_action_by_time ON operator_action (created_at, action_id);

CREATE TABLE operator_outcome (
    action_id BLOB PRIMARY KEY REFERENCES operator_action (action_id),
    outcome   TEXT NOT NULL CONSTRAINT operator_outcome_word CHECK (outcome IN ('DONE', 'REFUSED', 'UNKNOWN')),
    -- The stable word of the refusal, or why the outcome is unknown.
    reason    TEXT,
    -- What the service answered, as JSON.
    after     TEXT,
    ended_at  INTEGER NOT NULL,
    CONSTRAINT operator_outcome_done_has_after CHECK ((outcome = 'DONE') = (after IS NOT NULL)),
    CONSTRAINT operator_outcome_other_has_reason CHECK ((outcome = 'DONE') = (reason IS NULL))
) STRICT;

CREATE TRIGGER operator_action_append_only_update BEFORE UPDATE ON operator_action
BEGIN
    SELECT RAISE(ABORT, 'the operators'' journal is append-only');
END;

CREATE TRIGGER operator_action_append_only_delete BEFORE DELETE ON operator_action
BEGIN
    SELECT RAISE(ABORT, 'the operators'' journal is append-only');
END;

CREATE TRIGGER operator_outcome_append_only_update BEFORE UPDATE ON operator_outcome
BEGIN
    SELECT RAISE(ABORT, 'the operators'' journal is append-only');
END;

CREATE TRIGGER operator_outcome_append_only_delete BEFORE DELETE ON operator_outcome
BEGIN
    SELECT RAISE(ABORT, 'the operators'' journal is append-only');
END;
