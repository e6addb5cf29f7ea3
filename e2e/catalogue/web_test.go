package catalogue

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// get answers with the status and the body of a GET.
func get(t testing.TB, address string) (int, string) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text(t, res)
}

func text(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// elements calls fn for every element of a page, in order, with its attributes.
func elements(t testing.TB, page string, fn func(name string, attributes map[string]string)) {
	t.Helper()
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Key] = a.Val
			}
			fn(token.Data, attributes)
		}
	}
}

// links are the addresses a page leads to, without their fragments.
func links(t testing.TB, page string) []string {
	t.Helper()
	var found []string
	elements(t, page, func(name string, attributes map[string]string) {
		if name == "a" && !strings.HasPrefix(attributes["href"], "#") {
			found = append(found, attributes["href"])
		}
	})
	return found
}

// crawl gets every page that can be reached from the first one, and returns them
// by their path.
func crawl(t testing.TB, b *board) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for next := []string{"/"}; len(next) > 0; next = next[1:] {
		at := next[0]
		if _, known := pages[at]; known {
			continue
		}
		pages[at] = b.page(t, at)
		base, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links(t, pages[at]) {
			to, err := base.Parse(link)
			if err != nil {
				t.Fatalf("%s leads to %q: %v", at, link, err)
			}
			next = append(next, to.RequestURI())
		}
	}
	return pages
}

// reads checks that a page holds each of the texts, as a reader sees them.
func reads(t testing.TB, page string, texts ...string) {
	t.Helper()
	seen := visible(t, page)
	for _, text := range texts {
		if !strings.Contains(seen, text) {
			t.Errorf("the page does not say %q:\n%.1500s", text, seen)
		}
	}
}

// visible is the text of a page, with one space where a reader sees any.
func visible(t testing.TB, page string) string {
	t.Helper()
	var words []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(words, " ")
		case html.TextToken:
			words = append(words, strings.Fields(z.Token().Data)...)
		}
	}
}

// pathsOf are the paths of pages that begin with prefix, sorted.
func pathsOf(pages map[string]string, prefix string) []string {
	var found []string
	for path := range pages {
		if strings.HasPrefix(path, prefix) {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}
