-- Deliveries of which it is not known what their calls came to.
ALTER TABLE bus_side ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0; -- 0 none, 1 in doubt, 2 tried anyway, as an operator wished
ALTER TABLE bus_side ADD COLUMN doubt_since INTEGER;

CREATE INDEX bus_side_doubt ON bus_side (queue, seq) WHERE doubt > 0;
