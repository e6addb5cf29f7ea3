package datasync

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popup/internal/wire"
)

func TestBucketAddresses(t *testing.T) {
	for address, want := range map[string]s3Address{
		"s3://fair":              {bucket: "fair"},
		"s3://fair/":             {bucket: "fair"},
		"s3://fair/a/b/":         {bucket: "fair", prefix: "a/b/"},
		"s3://fair/a%20b/":       {bucket: "fair", prefix: "a%20b/"},
		"s3://fair/x.tar.gz":     {bucket: "fair", prefix: "x.tar.gz", pattern: "x.tar.gz"},
		"s3://fair/d/*.tar.zst":  {bucket: "fair", prefix: "d/", pattern: "d/*.tar.zst"},
		"s3://fair/d/day-?[0-9]": {bucket: "fair", prefix: "d/day-", pattern: "d/day-?[0-9]"},
	} {
		if got, err := parseS3Address(address); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", address, got, err)
		}
	}
	type spec struct{ URL, Endpoint string }
	for spec, want := range map[spec]string{
		{URL: "s3://"}:                                                 "the address names no bucket; write s3://bucket/folder/",
		{URL: "https://fair.s3.amazonaws.com/"}:                        "that is not the address of a bucket",
		{URL: "s3://key:s3cret@fair/x/"}:                               "carries a key or a password",
		{URL: "s3://fair/x"}:                                           `"x" is neither a folder nor an archive; write s3://bucket/folder/`,
		{URL: "s3://fair/*/x.tar"}:                                     "the address has a pattern in a folder",
		{URL: "s3://fair/*/"}:                                          "the address has a pattern in a folder",
		{URL: "s3://fair/[.tar"}:                                       "is not a pattern",
		{URL: "s3://fair/a\nb/"}:                                       "a key that no object has",
		{URL: "s3://a..b/"}:                                            "names no bucket",
		{URL: "s3://fair/", Endpoint: "s3.example.org"}:                "the endpoint is not the address of a server; write one like https://s3.example.org",
		{URL: "s3://fair/", Endpoint: "https://u:s3cret@example.org"}:  "the endpoint carries a user name or a password",
		{URL: "s3://fair/", Endpoint: "https://example.org/?x=s3cret"}: "the endpoint is not the address of a server",
	} {
		source := wire.Source{Kind: "s3", URL: spec.URL, Endpoint: spec.Endpoint}
		_, err := NewSource(source, SourceOptions{})
		wantText(t, err, "open source: ", want)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the message holds the password: %v", err)
		}
	}
}

func TestKeysToNames(t *testing.T) {
	a := s3Address{prefix: "x/"}
	for _, c := range []struct {
		key  string
		size int64
		name string
		want string // part of the error
	}{
		{"x/a", 1, "a", ""},
		{"x/d/e f/ü", 1, "d/e f/ü", ""},
		{"x/", 0, "", ""},
		{"x/d/", 0, "", ""},
		{"x/d/", 1, "", `"x/d/" has the name of a folder, and content`},
		{"x/", 1, "", `"x/" has the name of a folder, and content`},
		{"x/../../etc/passwd", 1, "", "leads out of the tree by a .. in it"},
		{"x/d//e", 1, "", "has a part that is no name of a file or folder; rename it"},
		{"x//e", 1, "", "has a part that is no name of a file or folder"},
		{"x/./e", 1, "", "has a part that is no name of a file or folder"},
		{"x/d/.git/config", 1, "", "is named .git"},
		{"x/caf\xe9", 1, "", "is not UTF-8"},
		{"x/a\x00b", 1, "", "is no name a file can have here"},
		{"x/" + strings.Repeat("n", 256), 1, "", "is no name a file can have here"},
		{"y/a", 1, "", "was not asked for"},
	} {
		name, err := a.fileName(c.key, c.size)
		if c.want != "" {
			wantText(t, err, c.want)
		} else if err != nil || name != c.name {
			t.Errorf("%q is named %q, %v", c.key, name, err)
		}
	}
}

// FuzzKeysToNames: a name leads nowhere but into the tree, and no two keys share one.
func FuzzKeysToNames(f *testing.F) {
	for _, key := range []string{"a", "d/e", "d/", "../a", "d//e", "./a", ".git/x", "a\x00", "\xff", "...", "d/../e", "/etc/passwd", "~"} {
		f.Add(key)
	}
	a := s3Address{prefix: "x/"}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := a.fileName("x/"+key, 1)
		if err != nil {
			return
		}
		if name != key || !filepath.IsLocal(name) || slices.Contains(strings.Split(name, "/"), ".git") {
			t.Errorf("the key %q is named %q", key, name)
		}
	})
}

// FuzzS3Address: what is read is written as the same address again.
func FuzzS3Address(f *testing.F) {
	for _, address := range []string{"s3://fair/", "s3://fair/a/*.tar", "s3://fair", "s3://a@b/", "s3://fair/[", "s3:///", "fair"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseS3Address(text)
		if err != nil {
			return
		}
		if again, err := parseS3Address(a.String()); err != nil || again != a {
			t.Errorf("%q is %+v, and that is %+v, %v", text, a, again, err)
		}
	})
}
