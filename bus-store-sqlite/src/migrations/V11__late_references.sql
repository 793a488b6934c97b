-- What connectors were told of without something that it refers to.
CREATE TABLE bus_late (
    connector    TEXT    NOT NULL,
    object_type  TEXT    NOT NULL, -- of the object that refers
    object_id    TEXT    NOT NULL,
    awaited_type TEXT    NOT NULL, -- of what it refers to
    awaited_id   TEXT    NOT NULL,
    resolved     INTEGER NOT NULL, -- 1: there is a binding, or was since then
    PRIMARY KEY (connector, object_type, object_id, awaited_type, awaited_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX bus_late_awaited ON bus_late (awaited_type, awaited_id, connector);

CREATE INDEX bus_late_resolved ON bus_late (connector, object_type, object_id) WHERE resolved = 1;
