package console

import (
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// KindDeployment is of deployments.
const KindDeployment Kind = "deployment"

// A Deployment is an app launched within an event.
type Deployment struct {
	ID    string     `json:"id"`
	Event string     `json:"event"` // an id
	Title string     `json:"title"`
	App   apps.AppID `json:"app"`
	// Repository is where the manifest came from, where that is not the catalogue.
	Repository string `json:"repository,omitempty"`
	Commit     string `json:"commit,omitempty"` // of the catalogue, or of Repository, that was looked at
	// Swapped is set where whoever launched it named other code or data than the manifest.
	Swapped bool   `json:"swapped,omitempty"`
	Cloud   string `json:"cloud"`
	Count   int    `json:"count"` // of instances that are wanted
	// Plan is what each instance is told, without its id, its console and its settings.
	// Restore is the backup that its state begins with; nil: none.
	Restore *Beginning `json:"restore,omitempty"`
	// StateKey opens its backups where they are kept elsewhere, sealed; empty: they are kept
	// here, or whoever runs the console has the key.
	StateKey []byte `json:"state_key,omitempty"`
	// Volume is the disk that its state is on, without an ID until it is made; nil: the
	// machine's own.
	Volume   *Volume           `json:"volume,omitempty"`
	Plan     wire.Plan         `json:"plan"`
	Settings map[string]string `json:"settings,omitempty"`
	// What of its manifest a plan leaves out: how long it may live, and on what.
	Lifetime      apps.Lifetime  `json:"lifetime,omitzero"`
	Architectures []string       `json:"architectures,omitempty"`
	Needs         apps.Resources `json:"needs,omitzero"`
	// Secrets are the settings that are not to be shown, sealed; SecretNames names them.
	Secrets     []byte    `json:"secrets,omitempty"`
	SecretNames []string  `json:"secret_names,omitempty"`
	Created     time.Time `json:"created"`
	// Price is what an instance costs, as it was said at the launch, and billed whatever a
	// newer table says; nil: nothing.
	Price *Rate `json:"price,omitempty"`
	// Image is what its machines start from; nil: the cloud's own choice.
	Image *StartsFrom `json:"image,omitempty"`
}

func (d Deployment) record() Record {
	return Record{Kind: KindDeployment, ID: d.ID, Parent: d.Event, Topic: d.Event, Sort: d.Created.UTC().Format(sortableTime)}
}

// sortableTime writes moments of UTC so that their texts are in the order of time.
const sortableTime = "2006-01-02T15:04:05.000000000Z"

// Catalogued says that all that runs is what the catalogue names.
func (d Deployment) Catalogued() bool { return d.Repository == "" && !d.Swapped }

// HasState says that its app writes something that is worth a backup.
func (d Deployment) HasState() bool { return d.Plan.Manifest.State != nil && !d.Plan.Bake }
