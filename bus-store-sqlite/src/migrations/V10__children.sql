-- The objects beneath a parent, in the order in which they were saved first.
CREATE INDEX bus_object_children ON bus_object (object_type, parent, position) WHERE parent IS NOT NULL;
