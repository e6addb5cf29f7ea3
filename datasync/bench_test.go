package datasync

import (
	"path/filepath"
	"testing"

	"popup/internal/testutil"
	"popup/internal/wire"
)

func benchSyncer(b *testing.B) (*testutil.GitRepo, *Syncer) {
	b.Helper()
	repo := testutil.NewRepo(b)
	server := testutil.NewGitServer(b, filepath.Dir(repo.Dir))
	source, err := NewSource(wire.Source{URL: server.URL + "/upstream"}, SourceOptions{})
	if err != nil {
		b.Fatal(err)
	}
	p := openPublisher(b, tempDir(b), PublisherOptions{})
	return repo, NewSyncer(Config{Source: source, Publisher: p, Extract: testutil.Tarball})
}

func publishNewest(b *testing.B, s *Syncer) {
	b.Helper()
	rev, _, err := s.Stage(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Publish(rev); err != nil {
		b.Fatal(err)
	}
}

// A poll that finds nothing new.
func BenchmarkPoll(b *testing.B) {
	repo, s := benchSyncer(b)
	repo.CommitDay(testutil.Days(b, 1)[0])
	publishNewest(b, s)
	for b.Loop() {
		if _, changed, err := s.Stage(b.Context()); changed || err != nil {
			b.Fatal(changed, err)
		}
	}
}

// From a commit of a new day upstream to its being current here.
func BenchmarkDay(b *testing.B) {
	repo, s := benchSyncer(b)
	days := testutil.Days(b, 20)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		repo.CommitDay(days[n%len(days)])
		b.StartTimer()
		publishNewest(b, s)
		b.StopTimer()
		if err := s.config.Publisher.Prune(nil); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
