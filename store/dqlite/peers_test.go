//go:build dqlite

package dqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/console/peers"
	"popup/internal/archive"
)

// A keeper is the vault of one console of a cluster.
type keeper struct {
	*console.Archives
	peers *peers.Client
	dir   string
}

// keeps has a console keep archives together with the others, and serve a popup of its own.
func keeps(t testing.TB, c *Cluster, popup string) keeper {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	k := keeper{peers: peers.New(c.Client(), peers.Others(c)), dir: t.TempDir()}
	vault, err := archive.FolderVault(k.dir)
	check(t, err)
	k.Archives = console.NewArchives(console.ArchivesOptions{Vault: vault, Peers: k.peers, Log: log})
	file := filepath.Join(t.TempDir(), "popup")
	check(t, os.WriteFile(file, []byte(popup), 0o600))
	c.Serve(peers.Served{Archives: k.Archives, Binaries: map[string]string{hexOf([]byte(popup)): file}, Log: log}.Handler())
	return k
}

func hexOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (k keeper) files(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	check(t, err)
	return len(entries)
}

// receive has an instance send a backup to a console.
func (k keeper) receive(t testing.TB, name string, contents []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Manifest{App: "wall", Instance: "fair-1", Taken: time.Now(), Final: true})
	check(t, err)
	check(t, w.Add(archive.Entry{Path: "bids", Kind: archive.KindFile, Mode: 0o600, Modified: time.Now(), Size: int64(len(contents))}, bytes.NewReader(contents)))
	check(t, w.Close())
	sum := sha256.Sum256(b.Bytes())
	_, err = k.Receive(waiting(t), console.Incoming{Instance: "fair-1", Name: name, Size: int64(b.Len()), SHA256: sum[:], Body: bytes.NewReader(b.Bytes())})
	check(t, err)
	return b.Bytes()
}

func (k keeper) has(t testing.TB, name string, want []byte) {
	t.Helper()
	file, err := k.Open(waiting(t), "fair-1", name)
	check(t, err)
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, not %d: %v", name, len(got), len(want), err)
	}
}

// TestConsolesKeepBackupsTogether: over the link between real nodes, of which one is lost.
func TestConsolesKeepBackupsTogether(t *testing.T) {
	first := grown(t, newMember(t))
	_, second := joined(t, first)
	_, third := joined(t, first)
	all := []*Cluster{first, second, third}
	var keepers []keeper
	for n, c := range all {
		keepers = append(keepers, keeps(t, c, strings.Repeat("popup", n+1)))
	}
	until(t, first, "three that answer", func(s console.ClusterState) bool {
		answer := 0
		for _, m := range s.Members {
			if m.Answers {
				answer++
			}
		}
		return answer == 3
	})
	contents := make([]byte, 3<<20)
	for n := range contents {
		contents[n] = byte(n * n >> 7)
	}
	one := keepers[0].receive(t, "one", contents)
	copies := 0
	for _, k := range keepers {
		k.has(t, "one", one)
		copies += k.files(t)
	}
	if copies != 2 || keepers[0].Alone() != 0 {
		t.Errorf("there are %d copies of it, want 2", copies)
	}
	for n, k := range keepers {
		other := []byte(strings.Repeat("popup", (n+1)%3+1))
		resp, err := k.peers.Download(waiting(t), hexOf(other), "")
		check(t, err)
		got, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || !bytes.Equal(got, other) {
			t.Errorf("console %d gets %d bytes, %v", n, len(got), err)
		}
	}

	check(t, first.Close())
	// Whoever knows of no leader may not know of all members either.
	for _, c := range []*Cluster{second, third} {
		until(t, c, "another that leads", func(s console.ClusterState) bool {
			return len(s.Members) == 3 && slices.ContainsFunc(s.Members, func(m console.Member) bool { return m.Leads && m.Answers })
		})
	}
	begun := time.Now() // what the first one had is still there
	keepers[1].has(t, "one", one)
	keepers[2].has(t, "one", one)
	two := keepers[2].receive(t, "two", []byte("ten for the cake"))
	t.Logf("with one console lost, two reads and a backup took %s", time.Since(begun))
	keepers[1].has(t, "two", two)
	if keepers[1].files(t)+keepers[2].files(t) != 3 || keepers[2].Alone() != 0 { // the first one is where its first copy went
		t.Errorf("the two that are left have %d and %d", keepers[1].files(t), keepers[2].files(t))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := keepers[1].Purge(ctx, "fair-1"); err != nil || keepers[1].files(t)+keepers[2].files(t) != 0 {
		t.Errorf("removed, and there are %d and %d: %v", keepers[1].files(t), keepers[2].files(t), err)
	}
}
