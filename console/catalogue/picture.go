package catalogue

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"popup/apps"
	"popup/internal/tree"
)

// What pictures may be.
const (
	maxIcon       = 64 << 10
	maxScreenshot = 2 << 20
)

// PicturePolicy is the Content-Security-Policy that pictures are served with. What they
// hold was looked at; this is for what was overlooked.
const PicturePolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// A Picture is a PNG, JPEG, WebP, or an SVG that runs and loads nothing.
type Picture struct {
	Type  string // a media type; empty: there is no picture
	Bytes []byte // not to be changed
}

// readPicture reads a picture of an app. Its type is told by what it holds.
func readPicture(folder fs.FS, name string, most int64) (Picture, error) {
	content, err := apps.ReadBounded(folder, name, most)
	if err != nil {
		return Picture{}, err
	}
	if int64(len(content)) > most {
		return Picture{}, fmt.Errorf("%q has more than %s", name, tree.Bytes(most))
	}
	kind := http.DetectContentType(content)
	switch {
	case slices.Contains([]string{"image/png", "image/jpeg", "image/webp"}, kind):
		return Picture{kind, content}, nil
	case path.Ext(name) == ".svg":
		if err := checkSVG(content); err != nil {
			return Picture{}, fmt.Errorf("%q is no picture that is shown: %w", name, err)
		}
		return Picture{"image/svg+xml", content}, nil
	}
	return Picture{}, fmt.Errorf("%q is neither a PNG, a JPEG, a WebP nor an SVG", name)
}

// still are the elements an SVG may have that is drawn and does nothing else.
var still = strings.Fields(`svg g defs symbol use title desc metadata path rect circle ellipse line polyline polygon text tspan textPath
	linearGradient radialGradient stop clipPath mask pattern marker filter style switch
	feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow
	feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence`)

// checkSVG refuses an SVG that could run or load something.
func checkSVG(content []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	seen := false
	for {
		token, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF) && seen:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it is no SVG")
		case err != nil:
			return errors.New("it is not well-formed XML")
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("it has a DOCTYPE; leave that out")
		case xml.ProcInst:
			if t.Target != "xml" {
				return errors.New("it has a processing instruction; leave that out")
			}
		case xml.CharData:
			if lower := strings.ToLower(string(t)); strings.Contains(lower, "url(") && !onlyWithin(lower) || strings.Contains(lower, "@import") {
				return errors.New("its style loads something")
			}
		case xml.StartElement:
			if !seen && t.Name.Local != "svg" || !slices.Contains(still, t.Name.Local) {
				return fmt.Errorf("it has the element %q", t.Name.Local)
			}
			seen = true
			if err := checkAttributes(t.Attr); err != nil {
				return err
			}
		}
	}
}

func checkAttributes(attributes []xml.Attr) error {
	for _, a := range attributes {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("it has the attribute %q", a.Name.Local)
		case (name == "href" || name == "src") && !strings.HasPrefix(value, "#"):
			return errors.New("it links to something else")
		case strings.Contains(value, "url(") && !onlyWithin(value):
			return errors.New("it loads something")
		}
	}
	return nil
}

// onlyWithin says whether each url() of a style leads to a part of the picture itself.
func onlyWithin(style string) bool {
	for _, part := range strings.Split(style, "url(")[1:] {
		if !strings.HasPrefix(strings.TrimLeft(part, " '\""), "#") {
			return false
		}
	}
	return true
}

// Screenshot reads a picture that the app's manifest names. Its error is *NotFoundError
// where that names no such one.
func (c *Catalogue) Screenshot(id apps.AppID, name string) (picture Picture, err error) {
	c.files.RLock()
	defer c.files.RUnlock()
	app, err := c.App(id)
	if err != nil {
		return Picture{}, err
	}
	if !slices.Contains(app.Screenshots, name) {
		return Picture{}, &NotFoundError{What: "screenshot", Name: name, Nearest: apps.Nearest(name, app.Screenshots)}
	}
	err = c.inCommit(app.Commit, func(folder fs.FS) (err error) {
		picture, err = readPicture(folder, path.Join(string(id), name), maxScreenshot)
		return err
	})
	return picture, err
}
