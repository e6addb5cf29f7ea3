package appliance

import (
	"net/http"
	"testing"
	"time"

	"popup/internal/testutil"
)

// From the start of the process to an answered page, and to the healthy static
// app from a local repository.
func BenchmarkStart(b *testing.B) {
	repo := testutil.NewRepo(b)
	repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome"})
	var first, healthy time.Duration
	for b.Loop() {
		root := tempRoot(b)
		began := time.Now()
		u := startUp(b, root, "--config", repo.URL())
		if _, body := u.get("/"); body == "" {
			b.Fatal("the first page is empty")
		}
		first += time.Since(began)
		u.untilEvery(time.Millisecond, "live", func() bool { status, _ := u.get("/"); return status == http.StatusOK })
		healthy += time.Since(began)
		if err := u.stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms-first-page")
	b.ReportMetric(float64(healthy.Milliseconds())/float64(b.N), "ms-healthy")
}
