-- Tables of the application whose changes triggers leave in `bus_outbox`, and those triggers, as they were made.
CREATE TABLE bus_capture (
    object_type TEXT NOT NULL PRIMARY KEY,
    table_name  TEXT NOT NULL,
    key_column  TEXT NOT NULL,
    columns     TEXT NOT NULL, -- a JSON array of all columns that the table had
    triggers    TEXT NOT NULL  -- a JSON object: the text of each trigger under its name
) STRICT, WITHOUT ROWID;

-- The keys of the rows that are told of. `REPLACE` deletes a row without a word: an insert of a key that is here replaces it.
CREATE TABLE bus_capture_key (
    object_type TEXT NOT NULL,
    id          ANY  NOT NULL,
    PRIMARY KEY (object_type, id)
) STRICT, WITHOUT ROWID;

-- While its row is here, the transaction that put it there tells of its changes itself. It takes the row away again: nothing
-- has the id 0, so that where foreign keys are enforced the transaction cannot be committed otherwise.
CREATE TABLE bus_origin (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    ends INTEGER NOT NULL DEFAULT 0 REFERENCES bus_origin (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
