package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

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
for bare metal. The image holds what the user-data holds; keep it as you would that.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, plan, err := f.render(cmd.Context(), args[0], cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var image bytes.Buffer
			if err := machine.NoCloudISO(&image, text, seedMeta(plan, text), nil); err != nil {
				return fmt.Errorf("make seed: %w", err)
			}
			if err := atomicfile.Write(out, image.Bytes(), 0o600); err != nil {
				return fmt.Errorf("write seed: %w", err)
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&out, "output", "o", out, "file the image is written to")
	return cmd
}

// seedMeta is the seed's meta-data. cloud-init runs user-data once for each
// instance id, so another text gets another id.
func seedMeta(plan wire.Plan, userData []byte) []byte {
	sum := sha256.Sum256(userData)
	return fmt.Appendf(nil, "instance-id: popup-%s\nlocal-hostname: %s\n", hex.EncodeToString(sum[:8]), plan.Manifest.ID)
}
