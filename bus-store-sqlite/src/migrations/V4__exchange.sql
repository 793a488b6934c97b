-- Where a change stands on its way through several systems.
ALTER TABLE bus_task ADD COLUMN cause INTEGER;                  -- the task without which it would not be
ALTER TABLE bus_task ADD COLUMN hop INTEGER NOT NULL DEFAULT 0; -- how often something answered something on the way
ALTER TABLE bus_task ADD COLUMN echo INTEGER NOT NULL DEFAULT 0; -- 0 others, 1 none, 2 all

-- What both sides had when they were last known to be equal; only of objects that travel both ways. It ends with the
-- binding, and with the object.
CREATE TABLE bus_agreed (
    object_type  TEXT    NOT NULL,
    object_id    TEXT    NOT NULL,
    connector    TEXT    NOT NULL,
    external_id  TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    is_given     INTEGER NOT NULL, -- 1 given to the external system, 0 taken from it
    alternations INTEGER NOT NULL, -- how often the two had answered each other in a row when something was taken last
    data         BLOB    NOT NULL, -- the host's fields, with the host's ids; in JSON
    PRIMARY KEY (object_type, object_id, connector)
) STRICT, WITHOUT ROWID;

-- What was written there, or may have been, and not heard of since.
CREATE TABLE bus_sent (
    object_type TEXT    NOT NULL,
    object_id   TEXT    NOT NULL,
    connector   TEXT    NOT NULL,
    seq         INTEGER NOT NULL, -- the delivery
    external_id TEXT    NOT NULL,
    task        INTEGER NOT NULL,
    hop         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    fields      TEXT    NOT NULL, -- a digest of each field; in JSON
    PRIMARY KEY (object_type, object_id, connector, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX bus_sent_at ON bus_sent (at);
