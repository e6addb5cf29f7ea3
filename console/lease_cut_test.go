package console

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// leads is the console that goes on as it does what must be done once.
func (l *cutLife) leads(c *testConsole) *living {
	led := *c
	if l.term > 0 {
		led.Console = c.under(&term{store: c.store, holder: "console", number: l.term, lose: func(error) {}, until: time.Now().Add(time.Hour)})
	}
	return &living{&led, newReconciler(led.Console)}
}

// mark notes up to where changes are not those of a console that lost its lease.
func (l *cutLife) mark(k *cutter) {
	if k.over {
		l.upTo = l.newest()
	}
}

func (l *cutLife) newest() (seq int64) {
	err := l.store.View(context.Background(), func(tx Tx) (err error) { seq, err = tx.Newest(); return err })
	if err != nil {
		l.t.Fatal(err)
	}
	return seq
}

// take has a console hold the lease.
func (l *cutLife) take(term int64) {
	err := l.store.Update(context.Background(), func(tx Tx) error { return put(tx, lease{Holder: "console", Term: term}) })
	if err != nil {
		l.t.Fatal(err)
	}
}

// TestTakenOver has another console take the lease at every moment between what one asks of
// its cloud and what it writes down. The one that lost it does not know, and goes on: nothing
// that it writes is there, and it asks its cloud for nothing but what was on its way. The
// other one ends what it began: no instance ever has two machines or none.
func TestTakenOver(t *testing.T) {
	for moment := 1; ; moment++ {
		store, err := OpenStore(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l := &cutLife{t: t, store: store, clock: &testClock{now: aDay}, keys: filepath.Join(t.TempDir(), "key"), term: 1}
		l.world = &cutWorld{now: l.clock.Now, machines: map[string]Machine{}}
		l.take(1)
		first := &cutter{left: moment}
		first.steal = func() {
			l.take(2)
			l.upTo = l.newest()
		}
		l.goesOn(first)
		if is := l.newest(); first.over && is != l.upTo || first.late > 1 { // one may have been on its way
			t.Errorf("it wrote %d changes after it lost the lease, and asked %d times for something", is-l.upTo, first.late)
		}
		l.term = 2
		l.take(2)
		l.goesOn(&cutter{left: -1})
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("taken over at moment %d", moment)
		}
		if !first.over {
			t.Logf("taken over at %d moments", moment-1)
			return
		}
	}
}

// TestOnlyByTheFence: what is done in a term reaches a cloud by reconciler.cloud alone, which
// asks whether the term lasts; and no store but the one a Console has, which is fenced then.
func TestOnlyByTheFence(t *testing.T) {
	// These only look at what clouds there are, and what they can do.
	looks := map[string]bool{"pollClouds": true, "pollImages": true, "keepDisks": true}
	files := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			by := receiver(f)
			ast.Inspect(f, func(n ast.Node) bool {
				of, is := n.(*ast.SelectorExpr)
				if !is {
					return true
				}
				switch at := files.Position(n.Pos()); {
				case by != "reconciler" && by != "clearer" || looks[f.Name.Name]:
				case of.Sel.Name == "byHand":
					t.Errorf("%s: %s.%s has a cloud that it did not ask reconciler.cloud for", at, by, f.Name.Name)
				case of.Sel.Name == "Clouds":
					if asked = asked || f.Name.Name == "cloud"; f.Name.Name != "cloud" {
						t.Errorf("%s: %s.%s has a cloud that it did not ask reconciler.cloud for", at, by, f.Name.Name)
					}
				}
				if from, is := of.X.(*ast.SelectorExpr); is && from.Sel.Name == "opts" && of.Sel.Name == "Store" && f.Name.Name != "under" {
					t.Errorf("%s: %s uses the store of the options", files.Position(n.Pos()), f.Name.Name)
				}
				return true
			})
		}
	}
	if !asked {
		t.Error("reconciler.cloud was not looked at")
	}
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, is := of.(*ast.StarExpr); is {
		of = star.X
	}
	return of.(*ast.Ident).Name
}
