package main

import (
	"fmt"

	"github.com/spf13/pflag"
	"popup/console"
	"popup/internal/wire"
)

// bucketFlags say where instances keep backups of what visitors write.
type bucketFlags struct {
	bucket wire.State
	key    string
}

func (f *bucketFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.bucket.Vault, "state-vault", "", "bucket, like s3://bucket/folder/, that instances keep backups of state in, encrypted (default this console's vault)")
	flags.StringVar(&f.bucket.Endpoint, "state-endpoint", "", "`URL` of what speaks S3's API there (default Amazon's)")
	flags.StringVar(&f.bucket.Region, "state-region", "", "its region (default us-east-1)")
	flags.StringVar(&f.bucket.CredentialsFile, "state-credentials", "", "`FILE` on the instances with what to sign in with there (default the role of their machine)")
	flags.StringVar(&f.key, "state-key", "", "`FILE` with the key that opens these backups, of popup state key (default one for each app, kept sealed here)")
}

// vault is what the flags say.
func (f bucketFlags) vault() (console.StateVault, error) {
	identity, err := readStateKey(f.key)
	if err != nil {
		return console.StateVault{}, err
	}
	v := console.StateVault{Bucket: f.bucket, Identity: identity}
	if err := v.Check(); err != nil {
		return console.StateVault{}, usageError{fmt.Errorf("--state-vault: %w", err)}
	}
	return v, nil
}
