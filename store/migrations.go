package store

// migrations are all there ever were, in order: add to the end, and edit none. A column
// that is added has a default, so that an older console can go on.
var migrations = []migration{
	{name: "objects, changes, audit", statements: []string{
		`CREATE TABLE objects (
			kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT, parent TEXT NOT NULL, topic TEXT NOT NULL, state TEXT NOT NULL,
			sort TEXT NOT NULL, due INTEGER, doc BLOB NOT NULL, change INTEGER NOT NULL,
			PRIMARY KEY (kind, id))`,
		`CREATE UNIQUE INDEX objects_name ON objects (kind, name) WHERE name IS NOT NULL`,
		`CREATE INDEX objects_sort ON objects (kind, sort, id)`,
		`CREATE INDEX objects_parent ON objects (kind, parent, sort, id)`,
		`CREATE INDEX objects_state ON objects (kind, state, sort, id)`,
		`CREATE INDEX objects_due ON objects (kind, due, id) WHERE due IS NOT NULL`,

		`CREATE TABLE changes (
			seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL, removed INTEGER NOT NULL)`,
		`CREATE INDEX changes_at ON changes (at)`,
		`CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL)`,
		`INSERT INTO marks (name, value) VALUES ('forgotten', 0)`,

		`CREATE TABLE audit (
			seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL,
			prev BLOB NOT NULL, hash BLOB NOT NULL)`,
		`CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
		`CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
		// INSERT OR REPLACE would remove without asking the trigger above.
		`CREATE TRIGGER audit_is_in_order BEFORE INSERT ON audit
			WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) OR NEW.prev <> COALESCE((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1), x'')
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`,
	}},
}
