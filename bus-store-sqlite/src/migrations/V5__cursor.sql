-- How far each connector that asks its external system has come.
CREATE TABLE bus_cursor (
    connector TEXT    NOT NULL PRIMARY KEY,
    cursor    TEXT,             -- what the connector calls the place; none to begin with
    version   INTEGER NOT NULL, -- grows with each move
    polled_at INTEGER           -- microseconds; when it was moved last
) STRICT, WITHOUT ROWID;

-- Since when a binding says what it says: microseconds.
ALTER TABLE bus_binding ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;
