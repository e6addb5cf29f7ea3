package machine

import (
	"fmt"
	"io"
	"io/fs"
)

// A cpioWriter writes the archive format a kernel unpacks as its first file
// system ("newc"). The caller closes it; the first error is kept and returned
// by every later call.
type cpioWriter struct {
	w      io.Writer
	inode  int
	offset int
	err    error
}

// The types a cpio entry has in its mode.
const (
	cpioFolder = 0o040000
	cpioFile   = 0o100000
	cpioLink   = 0o120000
)

const cpioEnd = "TRAILER!!!"

// folder, file and link add an entry whose name has no slash in front.
func (c *cpioWriter) folder(name string) error {
	return c.entry(name, cpioFolder|0o755, nil)
}

func (c *cpioWriter) file(name string, perm fs.FileMode, data []byte) error {
	return c.entry(name, cpioFile|int(perm.Perm()), data)
}

func (c *cpioWriter) link(name, target string) error {
	return c.entry(name, cpioLink|0o777, []byte(target))
}

// close ends the archive.
func (c *cpioWriter) close() error { return c.entry(cpioEnd, 0, nil) }

func (c *cpioWriter) entry(name string, mode int, data []byte) error {
	c.inode++
	links := 1
	if mode&cpioFolder != 0 && mode&cpioFile == 0 {
		links = 2
	}
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	c.write([]byte(header + name + "\x00"))
	c.pad()
	c.write(data)
	c.pad()
	if c.err != nil {
		return fmt.Errorf("write %s to the archive: %w", name, c.err)
	}
	return nil
}

func (c *cpioWriter) write(p []byte) {
	if c.err != nil {
		return
	}
	var n int
	n, c.err = c.w.Write(p)
	c.offset += n
}

// pad goes on to the next multiple of four.
func (c *cpioWriter) pad() { c.write(make([]byte, -c.offset&3)) }
