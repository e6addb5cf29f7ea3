package apps

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// siteFolders are where a site of plain files is looked for, the nearest first.
var siteFolders = []string{".", "public", "docs", "dist"}

// detect makes a manifest of what a folder without an app.yaml looks like. The
// folder's name becomes the app's, unless an app.json has one. The error is
// Problems when nothing was recognised, or what was recognised is at fault.
func detect(folder fs.FS, name string) (Loaded, error) {
	m := Manifest{ManifestVersion: ManifestVersion, ID: idFrom(name), Name: nameFrom(name)}
	seen, err := detectServe(folder, &m)
	if err != nil {
		return Loaded{}, err
	}
	if seen == "" {
		return Loaded{}, Problems{nothingSeen(name)}
	}
	described, err := readAppJSON(folder, &m)
	if err != nil {
		return Loaded{}, err
	}
	if described {
		seen += ", described by " + appJSONFile
	}
	var problems Problems
	if errors.As(m.Validate(), &problems) {
		if described {
			problems = problems.inFile(appJSONFile)
		}
		return Loaded{}, problems
	}
	return Loaded{Manifest: m, Detected: "there is no " + FileName + "; " + seen}, nil
}

// detectServe says what was seen; empty: nothing.
func detectServe(folder fs.FS, m *Manifest) (seen string, err error) {
	web, line, err := webProcess(folder)
	if err != nil {
		return "", err
	}
	if web != "" {
		m.Serve = Serve{Type: ServeCommand, StartCommand: web}
		return fmt.Sprintf("detected a command app: line %d of Procfile starts it with %s", line, quote(web)), nil
	}
	for _, dir := range []string{".", "public"} {
		if isFile(folder, path.Join(dir, "index.php")) {
			m.Serve = Serve{Type: ServePHP, PublishPath: published(dir)}
			m.Packages = Packages{Apt: []string{"php-fpm"}, Dnf: []string{"php-fpm"}, Apk: []string{"php83-fpm"}, Zypper: []string{"php8-fpm"}}
			return "detected a PHP app: there is " + path.Join(dir, "index.php"), nil
		}
	}
	for _, dir := range siteFolders {
		if isFile(folder, path.Join(dir, "index.html")) {
			m.Serve = Serve{Type: ServeStatic, PublishPath: published(dir)}
			return "detected a site of plain files: there is " + path.Join(dir, "index.html"), nil
		}
	}
	return "", nil
}

func nothingSeen(name string) Problem {
	return Problem{
		File:    quote(name),
		Message: "has no " + FileName + ", and nothing else says how it is served: no Procfile with a web line, no index.php (also in public), no index.html (also in public, docs, dist)",
		Hint:    "run popup init to write an " + FileName,
	}
}

func isFile(folder fs.FS, name string) bool {
	info, err := fs.Stat(folder, name)
	return err == nil && info.Mode().IsRegular()
}

// published is dir as publish_path has it: empty for the root.
func published(dir string) string {
	if dir == "." {
		return ""
	}
	return dir
}

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// webProcess is the command of the web line in a Procfile, and its line; empty without one.
func webProcess(folder fs.FS) (command string, line int, err error) {
	text, err := ReadBounded(folder, "Procfile", MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("read Procfile: %w", err)
	}
	if len(text) > MaxSize {
		return "", 0, Problems{{File: "Procfile", Message: "is larger than " + Size(MaxSize).String()}}
	}
	number := 0
	for content := range strings.Lines(string(text)) {
		number++
		if part := procfileLine.FindStringSubmatch(strings.TrimSpace(content)); part != nil && part[1] == "web" {
			return part[2], number, nil
		}
	}
	return "", 0, nil
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

// idFrom makes an id of the name of a folder or a repository.
func idFrom(name string) AppID {
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if id == "" {
		return "app"
	}
	if id[0] >= '0' && id[0] <= '9' {
		id = "app-" + id
	}
	return AppID(strings.TrimRight(id[:min(len(id), 40)], "-"))
}

// nameFrom makes a name for people of the name of a folder or a repository.
func nameFrom(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' || isControl(r) || r == '\n' })
	runes := []rune(strings.Join(words, " "))
	if len(runes) == 0 || strings.Trim(string(runes), "/.") == "" {
		return "App"
	}
	return strings.ToUpper(string(runes[:1])) + string(runes[1:min(len(runes), 80)])
}
