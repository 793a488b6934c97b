-- The trees of the sites' pages. What a node is in one culture stands in `bus_page`. The operations on pages in
-- `bus_task` are 10 create, 11 update, 12 delete, 13 delete_all, 14 publish, 15 archive, 16 reject, 17 move.
CREATE TABLE bus_page_node (
    guid       BLOB    NOT NULL PRIMARY KEY,
    site       TEXT    NOT NULL,
    parent     BLOB,             -- NULL for a page without one
    alias      TEXT    NOT NULL, -- the last part of its path
    path       TEXT    NOT NULL, -- as written: /News/Launch
    folded     TEXT    NOT NULL, -- the same in lower case: what is unique, and what a subtree is found by
    class_name TEXT    NOT NULL,
    version    INTEGER NOT NULL  -- grows with every write to the node, one of its cultures, or what it stands beneath
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX bus_page_node_path ON bus_page_node (site, folded);
CREATE INDEX bus_page_node_parent ON bus_page_node (parent) WHERE parent IS NOT NULL;

CREATE TABLE bus_page (
    node    BLOB    NOT NULL,
    culture TEXT    NOT NULL COLLATE NOCASE,
    name    TEXT    NOT NULL,
    state   INTEGER NOT NULL, -- 0 draft, 1 published, 2 archived, 3 rejected
    data    BLOB    NOT NULL,
    PRIMARY KEY (node, culture)
) STRICT, WITHOUT ROWID;
