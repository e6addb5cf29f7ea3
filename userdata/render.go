package userdata

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"mime/quotedprintable"
	"slices"
	"strings"

	"popup/apps"
	"popup/internal/wire"
	"popup/templates"
)

// Render writes spec as user-data. The same spec gives the same bytes. User-data
// over Limit is an error that names its parts, the biggest first.
func Render(spec Spec) ([]byte, error) {
	if err := spec.Binary.Validate(); err != nil {
		return nil, fmt.Errorf("render user-data: %w", err)
	}
	plan, err := EncodePlan(spec.Plan)
	if err != nil {
		return nil, fmt.Errorf("render user-data: %w", err)
	}
	text, err := write(spec, string(plan))
	if err != nil {
		return nil, fmt.Errorf("render user-data: %w", err)
	}
	if spec.Gzip {
		if text, err = compress(text); err != nil {
			return nil, fmt.Errorf("render user-data: compress: %w", err)
		}
	}
	if len(text) > Limit {
		return nil, fmt.Errorf("render user-data: %w", tooBig(spec, len(text), len(plan)))
	}
	return text, nil
}

func write(spec Spec, plan string) ([]byte, error) {
	switch spec.Format {
	case "", Script:
		return script(spec, plan)
	case CloudConfig:
		install, err := script(spec, "")
		if err != nil {
			return nil, err
		}
		return execute(templates.UserdataCloudConfig, cloudConfig{Plan: plan, Script: string(install)})
	case MIME:
		return multipart(spec, plan)
	}
	_, err := ParseFormat(string(spec.Format))
	return nil, err
}

// cloudConfig is what the cloud-config's template shows. An empty Script is left out.
type cloudConfig struct{ Plan, Script string }

// A pin is one architecture's line of the script.
type pin struct{ Machine, Arch, SHA256 string }

// script renders the installing script, with the plan in it unless that is empty.
func script(spec Spec, plan string) ([]byte, error) {
	var data struct {
		Plan, Delimiter string
		URLs            []string // as words of a shell
		Pins            []pin
		Architectures   string
		NeedArch        bool
		AnyCertificate  bool
	}
	data.AnyCertificate = spec.Binary.AnyCertificate
	data.Plan, data.Delimiter = plan, delimiter(plan)
	for _, u := range spec.Binary.URLs {
		data.NeedArch = data.NeedArch || strings.Contains(u, archMark)
		data.URLs = append(data.URLs, "'"+strings.ReplaceAll(u, archMark, `'"$arch"'`)+"'")
	}
	architectures := slices.Sorted(maps.Keys(spec.Binary.SHA256))
	for _, arch := range architectures {
		data.Pins = append(data.Pins, pin{machines[arch], arch, spec.Binary.SHA256[arch]})
	}
	data.Architectures = strings.Join(architectures, " and ")
	return execute(templates.UserdataScript, data)
}

// delimiter is a line that the plan does not have, to end its here-document.
func delimiter(plan string) string {
	end := planDelimiter
	for n := 2; strings.Contains("\n"+plan, "\n"+end+"\n"); n++ {
		end = fmt.Sprintf("%s_%d", planDelimiter, n)
	}
	return end
}

const planDelimiter = "POPUP_PLAN"

func multipart(spec Spec, plan string) ([]byte, error) {
	config, err := execute(templates.UserdataCloudConfig, cloudConfig{Plan: plan})
	if err != nil {
		return nil, err
	}
	install, err := script(spec, "")
	if err != nil {
		return nil, err
	}
	type part struct{ Type, Encoding, Body string }
	data := struct {
		Boundary string
		Parts    []part
	}{Boundary: "popup"}
	for _, p := range []part{{Type: "text/cloud-config", Body: string(config)}, {Type: "text/x-shellscript", Body: string(install)}} {
		if strings.ContainsFunc(p.Body, func(r rune) bool { return r >= 0x80 }) {
			// Read as ASCII by cloud-init otherwise, and garbled.
			if p.Body, err = quotedPrintable(p.Body); err != nil {
				return nil, err
			}
			p.Encoding = "quoted-printable"
		}
		data.Parts = append(data.Parts, p)
	}
	for n := 2; slices.ContainsFunc(data.Parts, func(p part) bool { return strings.Contains("\n"+p.Body, "\n--"+data.Boundary) }); n++ {
		data.Boundary = fmt.Sprintf("popup-%d", n)
	}
	return execute(templates.UserdataMIME, data)
}

func quotedPrintable(text string) (string, error) {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	_, err := w.Write([]byte(text))
	if err := errors.Join(err, w.Close()); err != nil {
		return "", fmt.Errorf("write quoted-printable: %w", err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), nil
}

func execute(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := templates.Text(name).Execute(&b, data); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

// tooBig says which parts of the user-data take how much.
func tooBig(spec Spec, total, plan int) error {
	type part struct {
		name string
		size int
	}
	// without is what the plan would lose with one part of it.
	without := func(change func(*wire.Plan)) int {
		smaller := spec.Plan
		change(&smaller)
		text, err := EncodePlan(smaller)
		if err != nil {
			return 0
		}
		return max(0, plan-len(text))
	}
	manifest := without(func(p *wire.Plan) { p.Manifest = apps.Manifest{} })
	settings := without(func(p *wire.Plan) { p.Settings = nil })
	keys := without(func(p *wire.Plan) {
		p.Service.HostKeys = nil
		if p.Data != nil {
			data := *p.Data
			data.HostKeys = nil
			p.Data = &data
		}
	})
	parts := []part{
		{"the plan's manifest", manifest}, {"the plan's settings", settings}, {"the plan's host keys", keys},
		{"the rest of the plan", plan - manifest - settings - keys},
	}
	if rest, err := write(spec, ""); err == nil {
		parts = append(parts, part{"the script and what frames it", len(rest)})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.size, a.size) })
	var list []string
	for _, p := range parts {
		if p.size > 0 {
			list = append(list, fmt.Sprintf("%s %d", p.name, p.size))
		}
	}
	compressed := "; gzip may make it fit"
	if spec.Gzip {
		compressed = " even after gzip"
	}
	return fmt.Errorf("it has %d bytes and at most %d are allowed%s; its parts in bytes, before indentation: %s",
		total, Limit, compressed, strings.Join(list, ", "))
}
