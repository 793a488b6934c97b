-- Deliveries that transactions of the application have settled, until the relay carries that out: nothing else becomes
-- of them meanwhile.
CREATE TABLE bus_settling (
    delivery INTEGER NOT NULL PRIMARY KEY,
    queue    INTEGER NOT NULL,
    entry    INTEGER NOT NULL UNIQUE
) STRICT;

-- Whoever settles a delivery has to hold it: in the epoch of its queue's owner, and in the attempt that is running. It
-- fails in the application's own transaction otherwise, whatever library that uses.
CREATE TRIGGER bus_outbox_settles AFTER INSERT ON bus_outbox WHEN json_type(NEW.entry, '$.settles') IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO bus_settling (delivery, queue, entry)
    SELECT json_extract(NEW.entry, '$.settles.delivery'), q.id, NEW.id
    FROM bus_queue q
    WHERE q.connector = json_extract(NEW.entry, '$.settles.queue.connector')
      AND q.direction = CASE json_extract(NEW.entry, '$.settles.queue.direction') WHEN 'outgoing' THEN 0 ELSE 1 END
      AND q.epoch = json_extract(NEW.entry, '$.settles.epoch')
      AND (EXISTS (SELECT 1 FROM bus_pending p
                   WHERE p.queue = q.id AND p.seq = json_extract(NEW.entry, '$.settles.delivery')
                     AND p.seq <= q.claimed_to AND json_extract(NEW.entry, '$.settles.attempt') = 1)
        OR EXISTS (SELECT 1 FROM bus_side s
                   WHERE s.queue = q.id AND s.seq = json_extract(NEW.entry, '$.settles.delivery')
                     AND s.state = 1 AND s.attempts = json_extract(NEW.entry, '$.settles.attempt')));
    SELECT RAISE(ABORT, 'bus: this delivery is settled already, or in the hands of somebody else by now: roll back')
    WHERE NOT EXISTS (SELECT 1 FROM bus_settling WHERE entry = NEW.id);
END;

-- The types whose objects live in tables of the application's own.
CREATE TABLE bus_elsewhere (
    object_type TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
