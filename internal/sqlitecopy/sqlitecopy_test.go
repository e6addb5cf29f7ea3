package sqlitecopy

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain is the verb itself, and the app that writes to a database at full speed.
func TestMain(m *testing.M) {
	if handled, code := Main(os.Args); handled {
		os.Exit(code)
	}
	if len(os.Args) == 4 && os.Args[1] == "write" {
		fmt.Fprintln(os.Stderr, write(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write counts in two tables, in one transaction each, as fast as it can.
func write(path, journal string) error {
	db, err := sql.Open("sqlite", uri(path, "_pragma=busy_timeout(60000)&_pragma=journal_mode("+journal+")&_pragma=synchronous(normal)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS a (n INTEGER PRIMARY KEY, pad BLOB); CREATE TABLE IF NOT EXISTS b (n INTEGER PRIMARY KEY, pad BLOB)`); err != nil {
		return err
	}
	for n := 1; ; n++ {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		for _, table := range []string{"a", "b"} {
			if _, err := tx.Exec(`INSERT INTO `+table+` VALUES (?, randomblob(900))`, n); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		fmt.Println(n) // blocks nobody: it is read all the time
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A writer is a process that writes; said is the last number it committed.
type writer struct{ said func() int }

func startWriter(t *testing.T, path, journal string) writer {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "write", path, journal)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	numbers := make(chan int)
	go func() {
		var last int
		lines := make(chan int)
		go func() {
			defer close(lines)
			for {
				var n int
				if _, err := fmt.Fscanln(out, &n); err != nil {
					return
				}
				lines <- n
			}
		}()
		for lines != nil {
			select {
			case n, ok := <-lines:
				if !ok {
					lines = nil
					break
				}
				last = n
			case numbers <- last:
			}
		}
		close(numbers)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		for range numbers {    // until it is gone
		}
		_ = cmd.Wait() // it was killed
		if text := complaint.String(); text != "" {
			t.Errorf("the writer says: %s", text)
		}
	})
	w := writer{func() int { return <-numbers }}
	for deadline := time.Now().Add(time.Minute); w.said() < 50; {
		if time.Now().After(deadline) {
			t.Fatalf("the writer wrote %d", w.said())
		}
	}
	return w
}

// copied has the verb copy path; what it says, and the most memory it took in KiB.
func copied(t *testing.T, path string) (content []byte, said string, memory int64) {
	t.Helper()
	r, w, err := os.Pipe()
	check(t, err)
	argv := append(Command(), path)
	cmd := exec.Command(argv[0], argv[1:]...)
	var complaint bytes.Buffer
	temp := t.TempDir()
	cmd.ExtraFiles, cmd.Env, cmd.Stderr = []*os.File{w}, []string{"TMPDIR=" + temp}, &complaint
	check(t, cmd.Start())
	check(t, w.Close())
	begin := make([]byte, 8)
	n, _ := io.ReadFull(r, begin) // it may say nothing
	if n > 0 {
		memory = peak(t, cmd.Process.Pid)
	}
	content, err = io.ReadAll(r)
	check(t, errors.Join(err, r.Close()))
	content = append(begin[:n], content...)
	if err := cmd.Wait(); err != nil && complaint.Len() == 0 {
		t.Errorf("it says nothing: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	return content, complaint.String(), memory
}

// peak is the most memory that a process had so far, in KiB. That of a process that has
// ended counts what its parent had.
func peak(t *testing.T, pid int) (most int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &most); err == nil {
			return most
		}
	}
	return 0 // it has ended
}

// unframed is the copy alone.
func unframed(t *testing.T, content []byte) []byte {
	t.Helper()
	if len(content) < 8 || binary.BigEndian.Uint64(content) != uint64(len(content)-8) {
		t.Fatalf("%d bytes do not begin with their number", len(content))
	}
	return content[8:]
}

// counted is how far a copy counts, in both tables alike.
func counted(t *testing.T, content []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	check(t, os.WriteFile(path, content, 0o600))
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer func() { check(t, db.Close()) }()
	var whole string
	check(t, db.QueryRow(`PRAGMA integrity_check`).Scan(&whole))
	var a, b, rows int
	check(t, db.QueryRow(`SELECT (SELECT max(n) FROM a), (SELECT max(n) FROM b), (SELECT count(*) FROM a)`).Scan(&a, &b, &rows))
	if whole != "ok" || a != b || a != rows {
		t.Errorf("the copy is %q, counts to %d and %d, and has %d rows", whole, a, b, rows)
	}
	return a
}

// TestCopyUnderWrites: copies of a database that is written to all the time are each of
// one moment, and none is older than what was committed before it was asked for.
func TestCopyUnderWrites(t *testing.T) {
	for _, journal := range []string{"wal", "delete", "truncate", "persist"} {
		t.Run(journal, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a b?#%41é.db")
			w := startWriter(t, path, journal)
			for range 3 {
				before := w.said()
				content, said, memory := copied(t, path)
				if said != "" {
					t.Fatal(said)
				}
				n := counted(t, unframed(t, content))
				after := w.said()
				t.Logf("%s: %d of %d to %d, %d KiB, %d KiB of memory", journal, n, before, after, len(content)>>10, memory)
				if n < before || n > after+1 {
					t.Errorf("the copy counts to %d; before it there were %d, after it %d", n, before, after)
				}
			}
		})
	}
}

// TestCopyInLittleMemory however large the database is.
func TestCopyInLittleMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big.db")
	db, err := sql.Open("sqlite", path)
	check(t, err)
	_, err = db.Exec(`PRAGMA synchronous=off; CREATE TABLE a (n INTEGER PRIMARY KEY, pad BLOB); CREATE TABLE b (n INTEGER PRIMARY KEY);
		WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<1500) INSERT INTO a SELECT x, zeroblob(100000) FROM c; INSERT INTO b SELECT n FROM a`)
	check(t, errors.Join(err, db.Close()))
	content, said, memory := copied(t, path)
	if said != "" || counted(t, unframed(t, content)) != 1500 {
		t.Errorf("it says %q", said)
	}
	t.Logf("%d MiB, in %d MiB of memory", len(content)>>20, memory>>10)
	if memory>>10 > 64 || memory == 0 {
		t.Errorf("a copy of %d MiB took %d MiB of memory", len(content)>>20, memory>>10)
	}
}

// TestCopySaysWhatIsWrong and writes nothing then.
func TestCopySaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	locked := filepath.Join(dir, "locked.db")
	db, err := sql.Open("sqlite", uri(locked, "_pragma=locking_mode(exclusive)"))
	check(t, err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE a (n)`)
	check(t, err)
	defer func() { check(t, db.Close()) }()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.db"): "nable to open",
		"relative.db":                 "is not an absolute path",
		put("words", "SQLite format 3\x00 is what this begins with, and that is all"): "not a database",
		put("noise", "SQLite format 3\x00"+strings.Repeat("\xff\x07", 50000)):         "not a database",
		locked: "locked",
	} {
		content, said, _ := copied(t, path)
		if len(content) > 0 || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: %d bytes, %q", path, len(content), said)
		}
	}
}

func TestMainLeavesOthersAlone(t *testing.T) {
	for _, args := range [][]string{nil, {"popup"}, {"popup", "up"}, {"popup", verb}, {"popup", verb, "a", "b"}} {
		if handled, _ := Main(args); handled {
			t.Errorf("%q is taken for the verb", args)
		}
	}
	if err := send(context.Background(), "/x", nil); err == nil {
		t.Error("it writes to nowhere")
	}
	if strconv.Itoa(Output) != "3" {
		t.Error("process.Spec.ExtraFiles begin at 3")
	}
}
