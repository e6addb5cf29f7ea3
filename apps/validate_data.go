package apps

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

func (c *checker) data(d Data, serveType string) {
	c.oneOf("data.source", d.Source, dataSources)
	c.origin(d)
	if d.Schema < 0 {
		c.bad("data.schema", "is negative", "write the newest schema the service reads, from 1")
	}
	c.is("data.extract", d.Extract, checkPattern)
	c.is("data.in_subdir", d.InSubdir, checkPath)
	c.mount("data.mount", d.Mount)
	if serveType == ServeStatic && d.Mount == "" {
		c.bad("data.mount", "is missing, and static files have no other way to show the data", "write the folder the pages find it in, like data")
	}
	c.is("data.sync.schedule", d.Sync.Schedule, checkSchedule)
	c.oneOf("data.sync.on_change", d.Sync.OnChange, onChanges)
	c.command("data.check.command", d.Check.Command)
	c.atLeast("data.check.timeout", int64(d.Check.Timeout), 0, "1s")
	c.atLeast("data.limits.size", int64(d.Limits.Size), 0, "1 MB")
	c.atLeast("data.limits.files", int64(d.Limits.Files), 0, "1")
	if d.Limits.Shrink < 0 || d.Limits.Shrink > 100 {
		c.bad("data.limits.shrink", "is not a percentage", "write one from 1% to 100%")
	}
}

// origin checks that a source has the address its kind takes, and no other.
func (c *checker) origin(d Data) {
	switch source := cmp.Or(d.Source, SourceGit); source {
	case SourceGit:
		if d.URL != "" {
			c.bad("data.url", "goes with the sources s3, https and folder, and this is git", "write repository, or the source")
		} else {
			c.required("data.repository", d.Repository, "write the address of the data's repository")
		}
		c.is("data.repository", d.Repository, CheckRepository)
		c.is("data.branch", d.Branch, CheckBranch)
	case SourceS3, SourceHTTPS, SourceFolder:
		if d.Repository != "" {
			c.bad("data.repository", "goes with the source git, and this is "+source, "write url, or another source")
		} else {
			c.required("data.url", d.URL, "write where the data is")
		}
		if d.Branch != "" {
			c.bad("data.branch", "goes with the source git, and this is "+source, "remove it")
		}
		c.is("data.url", d.URL, func(s string) error { return CheckDataURL(source, s) })
	}
}

// CheckDataURL says what is wrong with the url of a source other than git. No
// message of it holds a password.
func CheckDataURL(source, address string) error {
	if source == SourceFolder {
		return checkFolder(address)
	}
	if err := checkAddress(address); err != nil {
		return err
	}
	if !strings.HasPrefix(address, source+"://") {
		return flaw{fmt.Sprintf("%s is no %s:// address, as the source says", quote(address), source), "write one, or another source"}
	}
	if err := checkURL(address, []string{source}); err != nil || source != SourceS3 {
		return err
	}
	return checkKey(address)
}

// checkKey checks that what is named of a bucket is a folder, or archives.
func checkKey(address string) error {
	dir, last := path.Split(strings.TrimPrefix(address, SourceS3+"://"))
	if last == "" || dir == "" { // a bucket alone is its topmost folder
		return nil
	}
	const pattern = `*?[\`
	switch _, err := path.Match(last, ""); {
	case strings.ContainsAny(dir, pattern):
		return flaw{"has a pattern in a folder", "write it in the last part, where it picks archives"}
	case err != nil:
		return flaw{quote(last) + " is not a pattern", "write one like day-*.tar.zst"}
	case !IsArchive(last) && !strings.ContainsAny(last, pattern):
		return flaw{quote(last) + " is neither a folder nor an archive", "end it with a / for the objects below it, or name a tar.zst, tar.gz, tar or zip"}
	}
	return nil
}

// IsArchive says whether a name is that of an archive that is read.
func IsArchive(name string) bool {
	return slices.ContainsFunc([]string{".tar.zst", ".tar.gz", ".tgz", ".tar", ".zip"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// checkFolder checks a folder: absolute, or beside the manifest.
func checkFolder(address string) error {
	if strings.Contains(address, "://") {
		return flaw{"is an address and the source is folder", "write a folder beside the manifest, like sample"}
	}
	return checkPath(strings.TrimPrefix(address, "/"))
}

// checkPattern checks the path of an archive, which may hold * and ?.
func checkPattern(p string) error {
	if _, err := path.Match(p, ""); err != nil {
		return flaw{quote(p) + " is not a path or a pattern", "write one like data-*.tar.gz"}
	}
	return checkPath(p)
}

func (c *checker) state(s State, data *Data) {
	c.mount("state.mount", s.Mount)
	if data != nil && data.Mount != "" && s.Mount != "" && inside(data.Mount, s.Mount) {
		c.bad("state.mount", fmt.Sprintf("%s and data.mount %s are the same place, or one is in the other", quote(s.Mount), quote(data.Mount)),
			"give each a folder of its own")
	}
	c.is("state.backup.schedule", s.Backup.Schedule, checkSchedule)
	c.atLeast("state.size", int64(s.Size), 0, "1 MB")
}

// localSources refuses what a manifest from a server must not name: folders of
// the machine that reads it, which would be copied and shown.
func (m Manifest) localSources(given Given) Problems {
	c := &checker{}
	refuse := func(field, address string) {
		if IsLocal(address) {
			c.bad(field, quote(address)+" is a folder of this machine, and the manifest came from a server",
				"name a repository that can be fetched, or take the manifest from a folder here")
		}
	}
	if !given.Service {
		refuse("service.repository", m.Service.Repository)
	}
	if m.Data != nil && !given.Data {
		refuse("data.repository", m.Data.Repository)
		refuse("data.url", m.Data.URL)
	}
	return c.problems
}
