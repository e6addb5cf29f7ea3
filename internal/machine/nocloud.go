package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/kdomanski/iso9660"
)

// The files of a NoCloud seed, as cloud-init looks for them.
const (
	seedUserData = "user-data"
	seedMetaData = "meta-data"
	seedNetwork  = "network-config"
	// seedLabel is the volume name by which a disk is known to be a seed.
	seedLabel = "cidata"
	// seedDir is where cloud-init looks for a seed that is no disk.
	seedDir = "var/lib/cloud/seed/nocloud"
	// maxSeed bounds the parts of a seed; user-data of the public clouds ends at 16 KiB.
	maxSeed = 1 << 20
)

// A seedFile is one file of a seed.
type seedFile struct {
	name string
	data []byte
}

// seedFiles checks a seed's parts and names them. A network configuration may
// be left out; the other two are always there, since cloud-init takes a disk
// without them for no seed at all.
func seedFiles(userData, metaData, networkConfig []byte) ([]seedFile, error) {
	if len(metaData) == 0 {
		return nil, errors.New("the seed has no meta-data: it needs an instance-id at least")
	}
	files := []seedFile{{seedUserData, userData}, {seedMetaData, metaData}}
	if len(networkConfig) > 0 {
		files = append(files, seedFile{seedNetwork, networkConfig})
	}
	for _, f := range files {
		if len(f.data) > maxSeed {
			return nil, fmt.Errorf("the seed's %s has %d bytes: at most %d are allowed", f.name, len(f.data), maxSeed)
		}
	}
	return files, nil
}

// NoCloudISO writes a NoCloud seed as a disk image that cloud-init finds by its
// volume name, "cidata". An empty networkConfig is left out: the machine then
// asks by DHCP. The same parts make an image with the same contents; its dates
// are those of its making.
func NoCloudISO(w io.Writer, userData, metaData, networkConfig []byte) (err error) {
	files, err := seedFiles(userData, metaData, networkConfig)
	if err != nil {
		return fmt.Errorf("write NoCloud image: %w", err)
	}
	iso, err := iso9660.NewWriter()
	if err != nil {
		return fmt.Errorf("write NoCloud image: %w", err)
	}
	defer func() { err = errors.Join(err, iso.Cleanup()) }()
	for _, f := range files {
		if err := iso.AddFile(bytes.NewReader(f.data), f.name); err != nil {
			return fmt.Errorf("write NoCloud image: add %s: %w", f.name, err)
		}
	}
	if err := iso.WriteTo(w, seedLabel); err != nil {
		return fmt.Errorf("write NoCloud image: %w", err)
	}
	return nil
}
