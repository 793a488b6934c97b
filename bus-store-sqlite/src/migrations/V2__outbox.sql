-- What the application logs within transactions of its own. `AUTOINCREMENT`: no id is given twice, and as only one
-- transaction writes at a time, ids grow in the order in which entries become true.
CREATE TABLE bus_outbox (
    id    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    entry TEXT    NOT NULL CHECK (json_valid(entry)) -- written by `Bus::log`
) STRICT;

-- Entries that could not be read, with where they stood.
CREATE TABLE bus_outbox_parked (
    id        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    place     INTEGER NOT NULL,
    entry     TEXT    NOT NULL,
    error     TEXT    NOT NULL,
    parked_at INTEGER NOT NULL
) STRICT;
