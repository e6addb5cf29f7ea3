package api

import (
	"popup/apps"
	"popup/console/catalogue"
)

// An App is an app of the catalogue. Lists leave its manifest out.
type App struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Keywords    []string       `json:"keywords"`
	Website     string         `json:"website,omitempty"`
	License     string         `json:"license,omitempty"`
	Icon        string         `json:"icon,omitempty"` // a path of this console
	Screenshots []string       `json:"screenshots,omitempty"`
	Commit      string         `json:"commit,omitempty"` // of the catalogue
	Code        *Address       `json:"code,omitempty"`
	Data        *Address       `json:"data,omitempty"`
	State       bool           `json:"state"` // it keeps what people write
	Manifest    *apps.Manifest `json:"manifest,omitempty"`
}

// An Address is where code or data come from.
type Address struct {
	Kind string `json:"kind"`
	URL  string `json:"url"`
	Ref  string `json:"ref,omitempty"`
}

// A Catalogue is what can be launched.
type Catalogue struct {
	Apps     []App  `json:"apps"`
	Source   string `json:"source"`
	Commit   string `json:"commit,omitempty"`
	Problems []Flaw `json:"problems"` // why some of it is not shown as it is now
}

// A Flaw is why an app of the catalogue is not shown as it is now.
type Flaw struct {
	App     string         `json:"app,omitempty"`
	Commit  string         `json:"commit,omitempty"`
	Kept    string         `json:"kept,omitempty"`
	Message string         `json:"message"`
	Details []apps.Problem `json:"details,omitempty"`
}

// A Diff is what changed between two commits of the catalogue.
type Diff struct {
	From string              `json:"from"`
	To   string              `json:"to"`
	Apps []catalogue.AppDiff `json:"apps"`
}

// A Proposal is what would run, were a repository launched.
type Proposal struct {
	Repository string        `json:"repository"`
	Commit     string        `json:"commit"`
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Manifest   apps.Manifest `json:"manifest"`
	Code       *Address      `json:"code,omitempty"`
	Data       *Address      `json:"data,omitempty"`
	Original   *Original     `json:"original,omitempty"` // the app of the catalogue that it looks like
	Notes      []string      `json:"notes"`
}

// An Original is the app of the catalogue that a proposal looks like.
type Original struct {
	ID      string                  `json:"id"`
	Name    string                  `json:"name"`
	Why     string                  `json:"why" jsonschema:"enum=repository,enum=origin,enum=id,enum=name"`
	Fork    bool                    `json:"fork"`
	Changes []catalogue.FieldChange `json:"changes"` // of its manifest
}
