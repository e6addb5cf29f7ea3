// Package wire is what a console and an instance say to each other, versioned.
// Readers ignore fields they do not know, so that an older instance and a newer
// console understand each other.
package wire

import (
	"popup/apps"
)

// PlanVersion is the version of the plan this build writes.
const PlanVersion = 1

// A Plan is the desired state of one instance. User-data carries it, and
// ROOT/etc/popup/config.yaml keeps it.
type Plan struct {
	Version  int    `yaml:"plan_version" json:"plan_version"`
	Instance string `yaml:"instance,omitempty" json:"instance,omitempty"` // empty: the instance makes one up at first boot and keeps it
	// Manifest is the app as it was known at launch.
	Manifest apps.Manifest `yaml:"manifest" json:"manifest"`
	// ManifestFrom is "service" when the manifest was read from the service's own
	// repository: then each release's app.yaml replaces it, but for what stands for the
	// whole of a launch: data's source, extract, limits and schedule, service.update,
	// state.backup, lifetime and metadata. Empty: the plan's holds.
	ManifestFrom string   `yaml:"manifest_from,omitempty" json:"manifest_from,omitempty"`
	Service      Source   `yaml:"service" json:"service"`
	Data         *Source  `yaml:"data,omitempty" json:"data,omitempty"`
	State        State    `yaml:"state,omitempty" json:"state,omitzero"`
	Serve        Serve    `yaml:"serve,omitempty" json:"serve,omitzero"`
	End          *End     `yaml:"end,omitempty" json:"end,omitempty"`
	Console      *Console `yaml:"console,omitempty" json:"console,omitempty"`
	// Fleet is how many instances are launched alike: together they ask a repository
	// no more often than its host bears. 0: one.
	Fleet int `yaml:"fleet,omitempty" json:"fleet,omitempty"`
	// Settings are the values of the manifest's env. With a console they are left
	// out of user-data and fetched after enrolment.
	Settings map[string]string `yaml:"settings,omitempty" json:"settings,omitempty"`
	// Bake has the instance fetch, install and build, and then turn the machine off as one
	// that an image is made of. It serves nothing, and tells its console what came of it.
	Bake bool `yaml:"bake,omitempty" json:"bake,omitempty"`
}

// ManifestFromService marks a manifest that lives in the service's repository.
const ManifestFromService = "service"

// CataloguePrefix begins the address of a service or data folder that ships in
// the popup binary: "catalogue:ID" or "catalogue:ID/FOLDER".
const CataloguePrefix = "catalogue:"

// A Source is where a tree comes from. What a fork must not decide stands here
// and not in the manifest.
type Source struct {
	Kind string `yaml:"kind,omitempty" json:"kind,omitempty"` // one of apps.Source...; empty: apps.SourceGit
	// URL is a repository, a folder, a catalogue address, s3://bucket/prefix/,
	// s3://bucket/pattern of archives, or the address of an archive. It never holds a password.
	URL string `yaml:"url" json:"url"`
	Ref string `yaml:"ref,omitempty" json:"ref,omitempty"` // a branch, a tag or a full commit; empty: the default branch
	// CredentialsFile, on the instance, holds what to sign in with: "user:password" or a
	// bearer token on one line, or a private SSH key. It is read at every use.
	// For s3: ACCESS:SECRET, or an AWS credentials file; without it AWS_* of the
	// environment, the machine's role, and else nothing is signed in with.
	CredentialsFile string `yaml:"credentials_file,omitempty" json:"credentials_file,omitempty"`
	// HostKeys pins the server's SSH host keys, as known_hosts lines.
	HostKeys []string `yaml:"host_keys,omitempty" json:"host_keys,omitempty"`
	Endpoint string   `yaml:"endpoint,omitempty" json:"endpoint,omitempty"` // of s3, a URL; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's
	Region   string   `yaml:"region,omitempty" json:"region,omitempty"`     // of s3; empty: AWS_REGION, or us-east-1
	// Verify says who must have signed the newest commit. Nil: anybody, and nobody.
	Verify *Verify `yaml:"verify,omitempty" json:"verify,omitempty"`
	Rewind string  `yaml:"rewind,omitempty" json:"rewind,omitempty"` // RewindAllow or RewindRefuse; empty: RewindAllow
	// Relay is where the source's revisions are fetched from first, the address of
	// what popup publish wrote. Empty: the source alone.
	Relay string `yaml:"relay,omitempty" json:"relay,omitempty"`
}

// State says where backups of the app's state go.
type State struct {
	Vault string `yaml:"vault,omitempty" json:"vault,omitempty"` // a folder, s3://bucket/prefix/, or VaultConsole; empty: ROOT/var/lib/popup/vault
	// Endpoint, Region and CredentialsFile are those of an s3 vault, as of a Source.
	Endpoint        string `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	Region          string `yaml:"region,omitempty" json:"region,omitempty"`
	CredentialsFile string `yaml:"credentials_file,omitempty" json:"credentials_file,omitempty"`
	// Recipient is who can open the archives, as age writes it (age1…); an s3 vault needs
	// one. Empty: archives are not encrypted.
	Recipient string `yaml:"recipient,omitempty" json:"recipient,omitempty"`
	// Volume is the disk that the state is on; nil: the machine's own.
	Volume *Volume `yaml:"volume,omitempty" json:"volume,omitempty"`
}

// A Volume is a disk for state alone.
type Volume struct {
	ID string `yaml:"id" json:"id"` // the cloud's name for it, which its serial number shows
	// Fresh says that it was made for this very launch: then, and where it reads blank,
	// it is formatted. Any other is only mounted.
	Fresh bool `yaml:"fresh,omitempty" json:"fresh,omitempty"`
}

// Serve says where the instance is reached. Check tells whether it can be.
type Serve struct {
	Listen  string   `yaml:"listen,omitempty" json:"listen,omitempty"`   // empty: :80
	Domains []string `yaml:"domains,omitempty" json:"domains,omitempty"` // non-empty: certificates are fetched for them and ListenTLS is served
	Email   string   `yaml:"email,omitempty" json:"email,omitempty"`     // told to the certificate authority; empty: it is told none
	// ListenTLS is where https is answered; empty: :443. Only with Domains.
	ListenTLS string `yaml:"listen_tls,omitempty" json:"listen_tls,omitempty"`
	// ACMEDirectory is the directory of the certificate authority; empty: Let's Encrypt.
	ACMEDirectory string `yaml:"acme_directory,omitempty" json:"acme_directory,omitempty"`
	// Metrics is where /metrics is answered, to whoever reaches it; empty: nowhere.
	Metrics string `yaml:"metrics,omitempty" json:"metrics,omitempty"`
}

// An End is when the instance is over. A date without a time means the end of
// that day in the zone.
type End struct {
	At       string        `yaml:"at" json:"at"`                                   // 2026-05-31, or 2026-05-31T18:00
	Zone     string        `yaml:"zone,omitempty" json:"zone,omitempty"`           // an IANA name; empty: UTC
	Warn     apps.Duration `yaml:"warn,omitempty" json:"warn,omitempty"`           // before the end; 0: 24h
	Freeze   apps.Duration `yaml:"freeze,omitempty" json:"freeze,omitempty"`       // before the end; 0: 10m
	PowerOff bool          `yaml:"power_off,omitempty" json:"power_off,omitempty"` // user-data sets it: the machine is turned off
}
