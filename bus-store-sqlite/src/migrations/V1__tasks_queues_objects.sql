-- The embedded store of the integration bus.
--
-- Times are microseconds since 1970 in UTC. Small integers are spelled out where they are declared, and in `code.rs`.

-- The largest ids given so far. Read and written inside the write transaction, so that no id is given twice,
-- whichever process asks.
CREATE TABLE bus_sequence (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    task          INTEGER NOT NULL,
    delivery      INTEGER NOT NULL,
    object_number INTEGER NOT NULL
) STRICT;

INSERT INTO bus_sequence (id, task, delivery, object_number) VALUES (1, 0, 0, 0);

-- A queue is a registered connector and a direction (0 outgoing, 1 incoming). Everything in `bus_pending` up to
-- `claimed_to` is claimed, everything beyond it is fresh. The counters are cumulative, and written with what they count.
CREATE TABLE bus_queue (
    id         INTEGER NOT NULL PRIMARY KEY,
    connector  TEXT    NOT NULL,
    direction  INTEGER NOT NULL,
    epoch      INTEGER NOT NULL DEFAULT 0,
    scope      INTEGER NOT NULL DEFAULT 0, -- within what order is kept: 0 each key, 1 the queue
    owner      INTEGER,                    -- the slot of the process that owns it, and its incarnation there
    owner_life INTEGER,
    claimed_to INTEGER NOT NULL DEFAULT 0,
    asides     INTEGER NOT NULL DEFAULT 0,
    logged     INTEGER NOT NULL DEFAULT 0,
    open       INTEGER NOT NULL DEFAULT 0,
    completed  INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    discarded  INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    retried    INTEGER NOT NULL DEFAULT 0,
    waited     INTEGER NOT NULL DEFAULT 0,
    stale      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (connector, direction)
) STRICT;

-- The processes that own queues, or did. Each holds the lock on a file beside the database that is named after its slot;
-- `life` counts those who had the slot, so that nobody takes a new one for an old one. Whoever wants a queue of another
-- process asks; a process that is alive answers.
CREATE TABLE bus_owner (
    slot     INTEGER NOT NULL PRIMARY KEY,
    life     INTEGER NOT NULL,
    asked    INTEGER NOT NULL DEFAULT 0,
    answered INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What was logged, as long as one of its deliveries is kept. The payload stands last: what is before it is read
-- without touching its overflow pages.
CREATE TABLE bus_task (
    id           INTEGER NOT NULL PRIMARY KEY,
    subject      TEXT    NOT NULL,
    operation    INTEGER NOT NULL, -- 0 create, 1 update, 2 delete, 3 add_to_site, 4 remove_from_site
    title        TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    site         TEXT,
    origin       TEXT,
    logged_at    INTEGER NOT NULL,
    redelivers   TEXT, -- the ended delivery that it repeats, who asked for that, and why; in JSON
    data         BLOB    NOT NULL
) STRICT;

-- How many deliveries of a task are kept, open or ended, for tasks with several of them.
CREATE TABLE bus_task_share (
    task INTEGER NOT NULL PRIMARY KEY,
    kept INTEGER NOT NULL
) STRICT;

-- What senders call what they have sent; kept as long as its task.
CREATE TABLE bus_idempotency (
    connector TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    digest    BLOB    NOT NULL,
    task      INTEGER NOT NULL,
    PRIMARY KEY (connector, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX bus_idempotency_task ON bus_idempotency (task);

-- The line of a queue: appended at its end, taken from its front.
CREATE TABLE bus_pending (
    queue           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    key             TEXT    NOT NULL,
    task            INTEGER NOT NULL,
    shared          INTEGER NOT NULL, -- whether the task has several deliveries
    data_type       INTEGER NOT NULL, -- 0 simple, 1 simple_snapshot, 2 snapshot
    policy          INTEGER NOT NULL, -- 0 default, 1 skip_once, 2 skip_on_error, 3 delete_on_error
    idempotency_key BLOB    NOT NULL,
    PRIMARY KEY (queue, seq)
) STRICT, WITHOUT ROWID;

-- Keys with an exception: one of them failed, waits, is parked, or was still running when the line moved on. A fresh
-- delivery of such a key is moved aside, into `bus_side`, when the line comes to it, so each is met once.
CREATE TABLE bus_lane (
    queue INTEGER NOT NULL,
    key   TEXT    NOT NULL,
    kind  INTEGER NOT NULL, -- 0 its head is fresh, 1 its head runs when due, 2 held: something of it runs, or its head
                            -- is parked, 3 its head waits, and asks again when due
    head  INTEGER,
    due   INTEGER,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX bus_lane_fresh ON bus_lane (queue, head) WHERE kind = 0;
CREATE INDEX bus_lane_due ON bus_lane (queue, due, head) WHERE kind IN (1, 3);
CREATE INDEX bus_lane_holding ON bus_lane (queue, head) WHERE kind IN (1, 2);

-- The head of such a key, all behind it, and what stepped aside of it (aside = 1: it holds nothing).
CREATE TABLE bus_side (
    queue           INTEGER NOT NULL,
    key             TEXT    NOT NULL,
    aside           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    state           INTEGER NOT NULL, -- 0 fresh, 1 running, 2 retry, 3 ready, 4 waiting, 5 parked, 6 scheduled
    due             INTEGER NOT NULL, -- 0 at once
    attempts        INTEGER NOT NULL, -- charged, that of a running one included
    asks            INTEGER NOT NULL,
    waiting_since   INTEGER,
    defers          INTEGER NOT NULL,
    deferred_since  INTEGER,
    called          INTEGER NOT NULL, -- whether its connector was ever called for it, as far as is known
    stepped_aside   INTEGER NOT NULL, -- whether it ever did
    superseded_by   INTEGER,          -- a later one of its key that completed while this one stood aside
    reason          TEXT,
    awaited         TEXT,             -- JSON
    task            INTEGER NOT NULL,
    shared          INTEGER NOT NULL,
    data_type       INTEGER NOT NULL,
    policy          INTEGER NOT NULL,
    idempotency_key BLOB    NOT NULL,
    behind          INTEGER NOT NULL DEFAULT 0, -- of what stepped aside: 1 once a claim has met it behind the head of its lane
    PRIMARY KEY (queue, key, aside, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX bus_side_seq ON bus_side (queue, seq);
CREATE INDEX bus_side_running ON bus_side (queue, key, seq) WHERE state = 1;
CREATE INDEX bus_side_holding ON bus_side (queue, seq) WHERE aside = 0 AND state IN (1, 2, 3, 5, 6);
CREATE INDEX bus_side_aside_due ON bus_side (queue, due, seq) WHERE aside = 1 AND state IN (2, 3, 6) AND behind = 0;

-- Who waits for what; `what` is the awaited thing in canonical JSON.
CREATE TABLE bus_wait (
    what  TEXT    NOT NULL,
    queue INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (what, queue, seq)
) STRICT, WITHOUT ROWID;

-- What has ended, until it is pruned.
CREATE TABLE bus_history (
    seq             INTEGER NOT NULL PRIMARY KEY,
    queue           INTEGER NOT NULL,
    state           INTEGER NOT NULL, -- 0 completed, 1 skipped, 2 discarded, 3 cancelled
    ended_at        INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    key             TEXT    NOT NULL,
    reason          TEXT,
    task            INTEGER NOT NULL,
    shared          INTEGER NOT NULL,
    data_type       INTEGER NOT NULL,
    policy          INTEGER NOT NULL,
    idempotency_key BLOB    NOT NULL
) STRICT;

CREATE INDEX bus_history_ended ON bus_history (queue, ended_at);

-- What operators did to deliveries that are kept.
CREATE TABLE bus_intervention (
    seq     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    verb    INTEGER NOT NULL, -- 0 retry, 1 skip, 2 cancel, 3 discard
    by      TEXT    NOT NULL,
    reason  TEXT,
    PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- Failed or interrupted attempts of deliveries that are kept.
CREATE TABLE bus_attempt (
    seq     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    error   TEXT    NOT NULL,
    PRIMARY KEY (seq, number)
) STRICT, WITHOUT ROWID;

-- The built-in object store. Ids are kept as text; `position` is the order in which objects were saved first.
CREATE TABLE bus_object (
    position     INTEGER NOT NULL PRIMARY KEY,
    object_type  TEXT    NOT NULL,
    object_id    TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    guid         BLOB,
    code_name    TEXT,
    display_name TEXT,
    site         TEXT,
    parent       TEXT,
    "group"      TEXT,
    data         BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX bus_object_key ON bus_object (object_type, object_id);
CREATE UNIQUE INDEX bus_object_guid ON bus_object (object_type, guid) WHERE guid IS NOT NULL;
CREATE UNIQUE INDEX bus_object_code_name
    ON bus_object (object_type, code_name, coalesce(site, ''), coalesce(parent, x'')) WHERE code_name IS NOT NULL;
CREATE INDEX bus_object_listed ON bus_object (object_type, position);
CREATE INDEX bus_object_of_site ON bus_object (site) WHERE site IS NOT NULL;

-- The sites; cultures are a list in JSON.
CREATE TABLE bus_site (
    name         TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    cultures     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- To which sites global objects are assigned; gone with their object.
CREATE TABLE bus_object_site (
    object_type TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    site        TEXT NOT NULL,
    PRIMARY KEY (object_type, object_id, site)
) STRICT, WITHOUT ROWID;

CREATE INDEX bus_object_site_of ON bus_object_site (site);

-- The identity map, one-to-one per connector and type. A binding outlives its object until the delete is delivered.
CREATE TABLE bus_binding (
    connector   TEXT NOT NULL,
    object_type TEXT NOT NULL,
    external_id TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    ended       INTEGER, -- the object is gone: the last task that was logged until then
    since       INTEGER, -- the same of a former object of this id
    PRIMARY KEY (connector, object_type, external_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX bus_binding_object ON bus_binding (object_type, object_id, connector);

-- The operator's records and switches.
CREATE TABLE bus_connector (
    name         TEXT    NOT NULL PRIMARY KEY,
    display_name TEXT    NOT NULL,
    uses         TEXT    NOT NULL,
    state        INTEGER NOT NULL, -- 0 enabled, 1 paused, 2 stopped, 3 disabled
    settings     TEXT    NOT NULL, -- JSON
    processing   TEXT    NOT NULL, -- JSON
    owner        INTEGER NOT NULL  -- 0 file, 1 operator
) STRICT, WITHOUT ROWID;

-- Connectors that were deleted and not registered again: whatever is still logged for one is discarded at once.
CREATE TABLE bus_deleted_connector (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What a connector subscribes to, for processes that do not contain it; in JSON.
CREATE TABLE bus_subscription (
    connector     TEXT NOT NULL PRIMARY KEY,
    subscriptions TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Connectors whose external system is out of reach.
CREATE TABLE bus_circuit (
    connector TEXT    NOT NULL PRIMARY KEY,
    opened_at INTEGER NOT NULL,
    probe_at  INTEGER NOT NULL,
    failures  INTEGER NOT NULL,
    error     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bus_switches (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    bus              INTEGER NOT NULL,
    log_outgoing     INTEGER NOT NULL,
    process_outgoing INTEGER NOT NULL,
    log_incoming     INTEGER NOT NULL,
    process_incoming INTEGER NOT NULL
) STRICT;
