-- Connectors that are to be told of all objects once more, and how far that is. No id is given twice.
CREATE TABLE bus_resync (
    id        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    connector TEXT    NOT NULL,
    types     TEXT    NOT NULL,
    asked_by  TEXT    NOT NULL,
    reason    TEXT,
    begun_at  INTEGER NOT NULL,
    state     INTEGER NOT NULL, -- 0 running, 1 done, 2 cancelled
    place     INTEGER NOT NULL, -- the last position in bus_object that was looked at
    logged    INTEGER NOT NULL,
    skipped   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX bus_resync_running ON bus_resync (connector, types) WHERE state = 0;
