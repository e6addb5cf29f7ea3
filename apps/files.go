package apps

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// CheckFiles tells whether folder, where the manifest lies, has what the manifest
// says is served. The error is Problems. What is made on the machine (by a build,
// or by a mount) is not looked for, nor is code that lies in another repository
// than checkout, the address that folder was fetched from (empty: none).
func (l Loaded) CheckFiles(folder fs.FS, checkout string) error {
	m := l.Manifest
	elsewhere := m.Service.Repository != "" && !SameRepository(m.Service.Repository, checkout)
	if m.BuildCommand != "" || elsewhere || m.Serve.Type == ServeCommand {
		return nil
	}
	var problems Problems
	publish := path.Join(".", m.Service.RootDir, m.Serve.PublishPath)
	if info, err := fs.Stat(folder, publish); m.isMounted(publish) {
		return nil
	} else if err != nil || !info.IsDir() {
		field := "serve.publish_path"
		if m.Serve.PublishPath == "" {
			field = "service.root_dir"
		}
		problems.add(field, "there is no folder "+quote(publish), "name the folder that is served, or leave it out where that is all of the repository")
		return problems.inFile(l.File).err()
	}
	asked, _, _ := strings.Cut(m.WithDefaults().HealthCheck.HTTPPath, "?")
	if !strings.HasSuffix(asked, "/") {
		return nil
	}
	pages := m.Serve.pages()
	for _, page := range pages {
		name := path.Join(publish, asked, page)
		if info, err := fs.Stat(folder, name); m.isMounted(name) || err == nil && info.Mode().IsRegular() {
			return nil
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems.add("serve.index", "reading "+quote(name)+": "+err.Error(), "")
		}
	}
	problems.add("serve.index", "there is no "+strings.Join(pages, " and no ")+" in "+folderName(path.Join(publish, asked))+", so "+quote(asked)+" shows nothing",
		"add it, name another page with serve.index, or ask for one that is there with health_check.http_path")
	return problems.inFile(l.File).err()
}

func folderName(name string) string {
	if name == "." {
		return "its root folder"
	}
	return "the folder " + quote(name)
}

// pages are the files that answer for a folder.
func (s Serve) pages() []string {
	switch {
	case s.Index != "":
		return []string{s.Index}
	case s.Type == ServePHP:
		return []string{"index.php", "index.html"}
	}
	return []string{"index.html"}
}

// isMounted tells whether name, in the service's repository, is covered by the data or the state.
func (m Manifest) isMounted(name string) bool {
	var mounts []string
	if m.Data != nil {
		mounts = append(mounts, m.Data.Mount)
	}
	if m.State != nil {
		mounts = append(mounts, m.State.Mount)
	}
	for _, mount := range mounts {
		at := path.Join(m.Service.RootDir, mount)
		if mount != "" && (name == at || strings.HasPrefix(name, at+"/")) {
			return true
		}
	}
	return false
}
