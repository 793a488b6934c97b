-- Objects that both sides have changed, and of which a person decides: gone with their delivery.
CREATE TABLE bus_conflict (
    seq         INTEGER NOT NULL PRIMARY KEY, -- the delivery, which is at the side
    queue       INTEGER NOT NULL,
    object_type TEXT    NOT NULL,
    object_id   TEXT    NOT NULL,
    base        BLOB,
    host        BLOB    NOT NULL,
    external    BLOB,
    fields      TEXT    NOT NULL, -- in JSON
    resolved    TEXT    NOT NULL  -- in JSON
) STRICT;

CREATE INDEX bus_conflict_queue ON bus_conflict (queue, seq);

-- When it was saved last; not known of what was saved before this was written down.
ALTER TABLE bus_object ADD COLUMN changed_at INTEGER;
