-- Values are clustered by case, and the ids of cases by tenant (see cases.py), so that the pages a
-- read or a save touches grow with the custom fields of the case and with nothing else, and a small
-- busy tenant fits into few pages. Logs (saves, history, runs, mails) grow at their end.
CREATE TABLE IF NOT EXISTS tenants (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS case_types (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    scripts_on_save INTEGER NOT NULL, UNIQUE (tenant_id, key)
);
CREATE TABLE IF NOT EXISTS custom_fields (
    id INTEGER PRIMARY KEY, case_type_id INTEGER NOT NULL, key TEXT NOT NULL, label TEXT NOT NULL,
    type TEXT NOT NULL, choices TEXT NOT NULL, UNIQUE (case_type_id, key)
);
CREATE TABLE IF NOT EXISTS cases (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, case_type_id INTEGER NOT NULL,
    version INTEGER NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, priority TEXT NOT NULL,
    description TEXT NOT NULL, save_id TEXT, updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS cases_of_tenant ON cases (tenant_id);
-- No type on the value: SQLite then keeps a number a number and a text a text.
CREATE TABLE IF NOT EXISTS field_values (
    case_id INTEGER NOT NULL, field_id INTEGER NOT NULL, value, PRIMARY KEY (case_id, field_id)
) WITHOUT ROWID;
-- Each save once, then a history row per changed field of it.
CREATE TABLE IF NOT EXISTS saves (
    id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL, version INTEGER NOT NULL, save_id TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS saves_of_case ON saves (case_id);
CREATE TABLE IF NOT EXISTS history (
    save INTEGER NOT NULL, field TEXT NOT NULL, before, after, PRIMARY KEY (save, field)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
    case_id INTEGER PRIMARY KEY, runs INTEGER NOT NULL, filled INTEGER NOT NULL, total REAL NOT NULL
);
-- A job is deleted in the transaction that did it: what is here is still to do.
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, tenant_id INTEGER NOT NULL, case_id INTEGER, save_id TEXT,
    script TEXT, mail_id INTEGER, queued_at REAL NOT NULL, not_before REAL NOT NULL, attempts INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS script_runs (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, case_id INTEGER NOT NULL, save_id TEXT NOT NULL,
    script TEXT NOT NULL, queued_at REAL NOT NULL, started_at REAL NOT NULL, finished_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS script_runs_of_save ON script_runs (tenant_id, save_id);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, token TEXT NOT NULL, messages INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, batch_id INTEGER, case_id INTEGER,
    token TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
    status TEXT NOT NULL, queued_at REAL NOT NULL, sent_at REAL, deliveries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS outbox_of_token ON outbox (tenant_id, token);
CREATE INDEX IF NOT EXISTS outbox_of_batch ON outbox (batch_id) WHERE batch_id IS NOT NULL;
