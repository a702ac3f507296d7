-- What a user holds of a show is counted at every hold. Without statistics (a database that is new when the sale begins) the planner would
-- take the sweeper's index for it, and walk every live hold of everybody.
CREATE INDEX hold_of_user ON hold (user_id, show_id) WHERE status = 'HELD';
