package templates

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
)

func TestEveryPageRenders(t *testing.T) {
	for name, data := range map[string]any{
		PageBoot: map[string]any{"Name": "<Fair>", "Phases": []map[string]any{{"Name": "build", "State": "failed", "Says": "failed", "Cause": "<why>"}}},
		PageOver: map[string]any{"Event": "<Fair>", "End": "31 May", "EndISO": "2026-05-31", "Archive": "kept", "ArchiveURL": "javascript:alert(1)"},
		PageSource: map[string]any{
			"Name": "<Fair>", "Healthy": true, "UserData": "<script>", "NoUserData": "", "Since": "", "End": "", "License": "", "Popup": "", "Stale": "", "Unhealthy": "",
			"Service": map[string]string{"URL": "javascript:alert(1)", "Repository": "r", "Commit": "c"}, "Data": nil,
		},
		PageNotice: map[string]any{"Title": "<Fair>", "Text": "t", "Try": ""},
	} {
		var b bytes.Buffer
		if err := Page(name).Execute(&b, Frame{Title: "<T>", Nonce: "N0", Refresh: 3, Data: data}); err != nil {
			t.Errorf("page %s: %v", name, err)
			continue
		}
		page := b.String()
		for _, part := range []string{"<!doctype html>", `<html lang="en">`, `name="viewport"`, "<title>&lt;T&gt;</title>", "&lt;Fair&gt;", `<style nonce="N0">`, "</html>"} {
			if !strings.Contains(page, part) {
				t.Errorf("page %s lacks %q", name, part)
			}
		}
		for _, bad := range []string{"<Fair>", "<why>", "<script>", `href="javascript`, "<no value>", "ZgotmplZ\">t", "http://", "https://"} {
			if strings.Contains(page, bad) {
				t.Errorf("page %s holds %q", name, bad)
			}
		}
	}
}

// Every file of the folder is used: by a page of the table, or in all of them.
func TestNoPageIsForgotten(t *testing.T) {
	known := map[string]bool{"layout.html": true, "style.css": true, "boot.js": true}
	for name := range pages() {
		known[name+".html"] = true
	}
	files, err := fs.ReadDir(pageFiles, "pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("pages/%s is not in the table", f.Name())
		}
	}
	if len(files) != len(known) {
		t.Errorf("%d files, %d known", len(files), len(known))
	}
}

func TestUnknownPage(t *testing.T) {
	defer func() {
		if p := recover(); p != `templates: no page "front" in the table` {
			t.Errorf("panic %v", p)
		}
	}()
	Page("front")
}
