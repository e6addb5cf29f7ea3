package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"popup/internal/atomicfile"
	"popup/internal/machine"
	"popup/internal/wire"
)

func newSeedCommand() *cobra.Command {
	var f machineFlags
	out := "seed.iso"
	cmd := &cobra.Command{
		Use:   "seed APP|DIR|URL",
		Short: "write user-data as a NoCloud seed, for machines without a launch form",
		Long: `seed writes the user-data as an ISO image that cloud-init's NoCloud datasource reads:
attach it to a machine of VirtualBox, libvirt, QEMU or Proxmox, or write it to a stick
for bare metal. The image holds what the user-data holds; keep it as you would that.
-o - writes it to standard output.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkSeedOutput(out, cmd.OutOrStdout()); err != nil {
				return usageError{err}
			}
			made, err := f.render(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var image bytes.Buffer
			if err := machine.NoCloudISO(&image, made.text, seedMeta(made.plan, made.text), nil); err != nil {
				return fmt.Errorf("make seed: %w", err)
			}
			if out == standardOutput {
				_, err = cmd.OutOrStdout().Write(image.Bytes())
			} else {
				err = atomicfile.Write(out, image.Bytes(), 0o600)
			}
			if err != nil {
				return fmt.Errorf("write seed: %w", err)
			}
			made.tell(cmd.ErrOrStderr())
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", out, "file the image is written to, - for standard output")
	return cmd
}

// standardOutput is what -o calls standard output.
const standardOutput = "-"

// checkSeedOutput refuses what an image is not written to.
func checkSeedOutput(out string, stdout io.Writer) error {
	if out == standardOutput && isTerminal(stdout) {
		return errors.New("an image is not for a terminal; send it to a file, or name one with -o")
	}
	if info, err := os.Stat(out); out != standardOutput && err == nil && info.IsDir() {
		return fmt.Errorf("-o %s is a folder; name the file, like %s", out, filepath.Join(out, "seed.iso"))
	}
	return nil
}

// seedMeta is the seed's meta-data. cloud-init runs user-data once for each
// instance id, so another text gets another id.
func seedMeta(plan wire.Plan, userData []byte) []byte {
	sum := sha256.Sum256(userData)
	return fmt.Appendf(nil, "instance-id: popup-%s\nlocal-hostname: %s\n", hex.EncodeToString(sum[:8]), plan.Manifest.ID)
}
