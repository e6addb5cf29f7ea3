package apps

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheckFiles(t *testing.T) {
	file := &fstest.MapFile{}
	for _, c := range []struct {
		name, manifest string
		checkout       string
		files          []string
		want           string // part of the error; empty: none
	}{
		{"an index", "serve: {type: static}", "", []string{"index.html"}, ""},
		{"no index", "serve: {type: static}", "", []string{"home.html"}, `serve.index: there is no index.html in its root folder, so "/" shows nothing`},
		{"a folder for an index", "serve: {type: static}", "", []string{"index.html/x"}, "there is no index.html"},
		{"another index", "serve: {type: static, index: home.html}", "", []string{"home.html"}, ""},
		{"no folder", "serve: {type: static, publish_path: public}", "", []string{"index.html"}, `serve.publish_path: there is no folder "public"`},
		{"no root folder", "serve: {type: static}\nservice: {root_dir: site}", "", []string{"index.html"}, `service.root_dir: there is no folder "site"`},
		{"a folder in a folder", "serve: {type: static, publish_path: public}\nservice: {root_dir: site}", "", []string{"site/public/index.html"}, ""},
		{"another page is asked for", "serve: {type: static}\nhealth_check: {http_path: /home.html}", "", []string{"home.html"}, ""},
		{"another folder is asked for", "serve: {type: static}\nhealth_check: {http_path: /en/}", "", []string{"index.html"}, `in the folder "en"`},
		{"php", "serve: {type: php}", "", []string{"index.php"}, ""},
		{"php with html", "serve: {type: php}", "", []string{"index.html"}, ""},
		{"php without an entry", "serve: {type: php}", "", []string{"start.php"}, `there is no index.php and no index.html`},
		{"a program", "serve: {type: command, start_command: ./run}", "", nil, ""},
		{"built there", "serve: {type: static, publish_path: out}\nbuild_command: make", "", nil, ""},
		{"data is the site", "serve: {type: static, publish_path: days}\ndata: {repository: 'https://example.org/days', mount: days}", "", nil, ""},
		{"data has the index", "serve: {type: static}\nservice: {root_dir: site}\ndata: {repository: 'https://example.org/days', mount: index.html}", "", []string{"site/x"}, ""},
		{"code elsewhere", "serve: {type: static}\nservice: {repository: 'https://example.org/code'}", "", nil, ""},
		{"code here", "serve: {type: static}\nservice: {repository: 'https://example.org/code'}", "git@example.org:code.git", []string{"x"}, "there is no index.html"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(FileName, []byte("manifest_version: 1\nid: x\nname: X\n"+c.manifest+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			folder := fstest.MapFS{}
			for _, name := range c.files {
				folder[name] = file
			}
			err = Loaded{Manifest: m, File: FileName}.CheckFiles(folder, c.checkout)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), FileName+": ") {
				t.Errorf("%v does not name its file", err)
			}
		})
	}
}
