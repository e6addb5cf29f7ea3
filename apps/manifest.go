// Package apps says what an app is: its manifest (app.yaml), how one is read,
// checked and detected, and the catalogue of apps that ship with popup.
package apps

// ManifestVersion is the only value manifest_version may have.
const ManifestVersion = 1

// FileName is the name a manifest has in a repository.
const FileName = "app.yaml"

// A Manifest is what an author writes about an app, in app.yaml. A zero field
// was not written; WithDefaults fills in what then holds.
type Manifest struct {
	ManifestVersion int               `yaml:"manifest_version" json:"manifest_version"`
	ID              AppID             `yaml:"id" json:"id"`
	Name            string            `yaml:"name" json:"name"`
	Description     string            `yaml:"description,omitempty" json:"description,omitempty"`
	Keywords        []string          `yaml:"keywords,omitempty" json:"keywords,omitempty"`
	Website         string            `yaml:"website,omitempty" json:"website,omitempty"`
	License         string            `yaml:"license,omitempty" json:"license,omitempty"`
	Icon            string            `yaml:"icon,omitempty" json:"icon,omitempty"`
	Screenshots     []string          `yaml:"screenshots,omitempty" json:"screenshots,omitempty"`
	Service         Service           `yaml:"service,omitempty" json:"service,omitzero"`
	Data            *Data             `yaml:"data,omitempty" json:"data,omitempty"`
	State           *State            `yaml:"state,omitempty" json:"state,omitempty"`
	Packages        Packages          `yaml:"packages,omitempty" json:"packages,omitzero"`
	BuildCommand    string            `yaml:"build_command,omitempty" json:"build_command,omitempty"`
	Serve           Serve             `yaml:"serve" json:"serve"`
	HealthCheck     HealthCheck       `yaml:"health_check,omitempty" json:"health_check,omitzero"`
	Env             map[string]EnvVar `yaml:"env,omitempty" json:"env,omitempty"`
	Scripts         Scripts           `yaml:"scripts,omitempty" json:"scripts,omitzero"`
	Resources       Resources         `yaml:"resources,omitempty" json:"resources,omitzero"`
	Lifetime        Lifetime          `yaml:"lifetime,omitempty" json:"lifetime,omitzero"`
	// Metadata is "allow" for an app that may read the instance metadata service; empty closes it.
	Metadata string `yaml:"metadata,omitempty" json:"metadata,omitempty"`
}

// AppID names an app: lower-case letters, digits and hyphens, at most 40, beginning with a letter.
type AppID string

// Service is the code layer. An empty repository means the repository (or
// folder) the manifest itself was read from, so that a fork launches the fork.
type Service struct {
	Repository string        `yaml:"repository,omitempty" json:"repository,omitempty"`
	Branch     string        `yaml:"branch,omitempty" json:"branch,omitempty"`     // empty: the repository's default branch
	RootDir    string        `yaml:"root_dir,omitempty" json:"root_dir,omitempty"` // empty: the root of the repository
	Update     ServiceUpdate `yaml:"update,omitempty" json:"update,omitzero"`
}

// ServiceUpdate says when a new commit of the service is looked for.
type ServiceUpdate struct {
	Schedule string `yaml:"schedule,omitempty" json:"schedule,omitempty"` // cron or @every; empty: never by itself
}

// The sources data may come from.
const (
	SourceGit    = "git"
	SourceS3     = "s3"
	SourceHTTPS  = "https"
	SourceFolder = "folder"
)

// Data is the read-only content the service shows.
type Data struct {
	Source     string     `yaml:"source,omitempty" json:"source,omitempty"`         // empty: git
	Repository string     `yaml:"repository,omitempty" json:"repository,omitempty"` // for git
	URL        string     `yaml:"url,omitempty" json:"url,omitempty"`               // for s3, https and folder; a relative folder is beside the manifest
	Branch     string     `yaml:"branch,omitempty" json:"branch,omitempty"`
	Schema     int        `yaml:"schema,omitempty" json:"schema,omitempty"`       // the newest data schema this release reads; 0: no schema gate
	Extract    string     `yaml:"extract,omitempty" json:"extract,omitempty"`     // the archive in the source whose contents are the data; empty: the source's own tree
	InSubdir   string     `yaml:"in_subdir,omitempty" json:"in_subdir,omitempty"` // the folder within the data that is mounted; the revision itself is kept whole
	Mount      string     `yaml:"mount,omitempty" json:"mount,omitempty"`         // where the service finds it, relative to its root_dir
	Sync       DataSync   `yaml:"sync,omitempty" json:"sync,omitzero"`
	Check      DataCheck  `yaml:"check,omitempty" json:"check,omitzero"`
	Limits     DataLimits `yaml:"limits,omitempty" json:"limits,omitzero"`
}

// What a running command app is told when its data changed.
const (
	OnChangeNothing = "nothing" // it opens $DATA_DIR afresh for each request
	OnChangeRestart = "restart" // a new process is started beside the old, checked, and flipped to
)

// DataSync says when new data is looked for and what happens then.
type DataSync struct {
	Schedule string `yaml:"schedule,omitempty" json:"schedule,omitempty"`   // cron or @every; empty: @every 5m
	OnChange string `yaml:"on_change,omitempty" json:"on_change,omitempty"` // empty: nothing
}

// DataCheck is the app's own gate: it runs in the new revision's folder, and a
// non-zero exit refuses the revision.
type DataCheck struct {
	Command string   `yaml:"command,omitempty" json:"command,omitempty"`
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // 0: 1m
}

// DataLimits bound what a revision may be.
type DataLimits struct {
	Size   Size    `yaml:"size,omitempty" json:"size,omitempty"`     // bytes of a revision; 0: 1 GiB
	Files  int     `yaml:"files,omitempty" json:"files,omitempty"`   // entries of a revision; 0: 100,000
	Shrink Percent `yaml:"shrink,omitempty" json:"shrink,omitempty"` // a revision that lost more of its bytes than this is refused; 0: no such gate
}

// State is what the running app writes.
type State struct {
	Mount  string      `yaml:"mount,omitempty" json:"mount,omitempty"` // where the service finds it, relative to its root_dir; empty: only $STATE_DIR
	Backup StateBackup `yaml:"backup,omitempty" json:"backup,omitzero"`
	Size   Size        `yaml:"size,omitempty" json:"size,omitempty"` // what it is expected to need
}

// StateBackup says when state is copied to the vault.
type StateBackup struct {
	Schedule string `yaml:"schedule,omitempty" json:"schedule,omitempty"`
}

// Packages are the operating system's packages, by package manager.
type Packages struct {
	Apt    []string `yaml:"apt,omitempty" json:"apt,omitempty"`
	Dnf    []string `yaml:"dnf,omitempty" json:"dnf,omitempty"`
	Apk    []string `yaml:"apk,omitempty" json:"apk,omitempty"`
	Zypper []string `yaml:"zypper,omitempty" json:"zypper,omitempty"`
}

// The ways a service is served.
const (
	ServeStatic  = "static"
	ServePHP     = "php"
	ServeCommand = "command"
)

// Serve says how the service answers.
type Serve struct {
	Type         string `yaml:"type" json:"type"`
	PublishPath  string `yaml:"publish_path,omitempty" json:"publish_path,omitempty"`   // static, php: the folder that is served, relative to root_dir; empty: root_dir
	Index        string `yaml:"index,omitempty" json:"index,omitempty"`                 // empty: index.html, and for php index.php before it
	StartCommand string `yaml:"start_command,omitempty" json:"start_command,omitempty"` // command: run by sh in root_dir; listens on 127.0.0.1:$PORT
}

// HealthCheck decides whether a started app may be shown.
type HealthCheck struct {
	HTTPPath    string   `yaml:"http_path,omitempty" json:"http_path,omitempty"`       // empty: /
	Contains    string   `yaml:"contains,omitempty" json:"contains,omitempty"`         // text the answer must hold; empty: any answer that is not empty
	Status      int      `yaml:"status,omitempty" json:"status,omitempty"`             // 0: 200
	GracePeriod Duration `yaml:"grace_period,omitempty" json:"grace_period,omitempty"` // how long a start may take; 0: 60s
	Interval    Duration `yaml:"interval,omitempty" json:"interval,omitempty"`         // between checks of a running app; 0: 10s
	Timeout     Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`           // of one check; 0: 5s
}

// EnvVar describes one setting of the app.
type EnvVar struct {
	Description string   `yaml:"description,omitempty" json:"description,omitempty"`
	Required    bool     `yaml:"required,omitempty" json:"required,omitempty"`
	Value       string   `yaml:"value,omitempty" json:"value,omitempty"`         // the default
	Generator   string   `yaml:"generator,omitempty" json:"generator,omitempty"` // "secret": made once on the instance and kept
	Secret      bool     `yaml:"secret,omitempty" json:"secret,omitempty"`
	Type        string   `yaml:"type,omitempty" json:"type,omitempty"` // text (the default), number, boolean, url, email
	Choices     []string `yaml:"choices,omitempty" json:"choices,omitempty"`
}

// Scripts are the app's hooks: command lines run by sh in the release.
type Scripts struct {
	Postdeploy   string `yaml:"postdeploy,omitempty" json:"postdeploy,omitempty"` // once, after the first healthy start
	OnDataChange string `yaml:"on_data_change,omitempty" json:"on_data_change,omitempty"`
	PreBackup    string `yaml:"pre_backup,omitempty" json:"pre_backup,omitempty"`
	Predestroy   string `yaml:"predestroy,omitempty" json:"predestroy,omitempty"`
}

// Resources are what one instance needs.
type Resources struct {
	CPUs          float64  `yaml:"cpus,omitempty" json:"cpus,omitempty"`
	Memory        Size     `yaml:"memory,omitempty" json:"memory,omitempty"`
	Disk          Size     `yaml:"disk,omitempty" json:"disk,omitempty"`
	Architectures []string `yaml:"architectures,omitempty" json:"architectures,omitempty"` // amd64, arm64; empty: any
}

// Lifetime bounds how long an instance lives.
type Lifetime struct {
	DefaultTTL Duration `yaml:"default_ttl,omitempty" json:"default_ttl,omitempty"` // 0: no end of its own
	MaxTTL     Duration `yaml:"max_ttl,omitempty" json:"max_ttl,omitempty"`
}
