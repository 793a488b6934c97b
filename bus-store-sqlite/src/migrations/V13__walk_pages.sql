-- In which order nodes were made: what a walk through all of them goes by. Those that are there already get one by their paths.
ALTER TABLE bus_page_node ADD COLUMN position INTEGER NOT NULL DEFAULT 0;

UPDATE bus_page_node SET position = (
    SELECT count(*) FROM bus_page_node other
    WHERE (other.site, other.folded) <= (bus_page_node.site, bus_page_node.folded)
);

CREATE UNIQUE INDEX bus_page_node_position ON bus_page_node (position);
