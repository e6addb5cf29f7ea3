package launcher

import (
	"os"
	"path/filepath"
	"testing"
)

// A crash in the middle of a line loses that line and no other.
func TestJournalSurvivesATornLine(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Write(Entry{Event: "boot"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"event":"fl`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = OpenJournal(dir); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Write(Entry{Event: "flip"}); err != nil {
		t.Fatal(err)
	}
	entries, err := j.Tail(10)
	if err != nil || len(entries) != 2 || entries[0].Event != "boot" || entries[1].Event != "flip" {
		t.Errorf("after a torn line the journal holds %+v (%v); want boot and flip", entries, err)
	}
}

func TestJournalTailSpansTheRotatedFile(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Write(Entry{Event: "old"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "journal.jsonl"), journalLimit); err != nil {
		t.Fatal(err)
	}
	if err := j.Write(Entry{Event: "new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "journal.jsonl.1")); err != nil {
		t.Errorf("the full journal was not set aside: %v", err)
	}
	entries, err := j.Tail(10)
	if err != nil || len(entries) == 0 || entries[len(entries)-1].Event != "new" {
		t.Errorf("tail is %+v (%v); want the newest entry last", entries, err)
	}
}
