package userdata

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	stdmultipart "mime/multipart"
	"net/mail"
	"regexp"
	"strings"

	"popup/internal/wire"
)

// maxRead bounds user-data that is read, as it came and unpacked.
const maxRead = 256 << 10

// configPath is where a machine keeps the plan.
const configPath = "/etc/popup/config.yaml"

var errNoPlan = errors.New("no plan of popup's is in it")

// Read finds the plan in user-data of any of the formats, gzip'ed or not. It is
// for bytes that anybody may have written.
func Read(data []byte) (wire.Plan, error) {
	text, err := unpack(data)
	if err != nil {
		return wire.Plan{}, fmt.Errorf("read user-data: %w", err)
	}
	plan, err := find(text)
	if err != nil {
		return wire.Plan{}, fmt.Errorf("read user-data: %w", err)
	}
	found, err := DecodePlan(plan)
	if err != nil {
		return wire.Plan{}, fmt.Errorf("read user-data: %w", err)
	}
	return found, nil
}

// unpack undoes gzip where data is gzip'ed.
func unpack(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
		if data, err = readAll(r); err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
	}
	if len(data) > maxRead {
		return nil, errTooLong
	}
	return data, nil
}

var errTooLong = fmt.Errorf("it has more than %d bytes, which no user-data has", maxRead)

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRead+1))
	if err == nil && len(data) > maxRead {
		err = errTooLong
	}
	return data, err
}

// find returns the text of the plan in user-data of whichever format.
func find(text []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(text, []byte("#!")):
		return findInScript(text)
	case bytes.HasPrefix(text, []byte("#cloud-config")):
		return findInCloudConfig(text)
	case bytes.HasPrefix(text, []byte("MIME-Version:")), bytes.HasPrefix(text, []byte("Content-Type:")):
		return findInMultipart(text)
	}
	return nil, errors.New("it begins with neither #!, #cloud-config nor a MIME header")
}

var herePlan = regexp.MustCompile(`(?m)^put "\$etc/config\.yaml" 600 <<'(\w+)'\n`)

func findInScript(text []byte) ([]byte, error) {
	at := herePlan.FindSubmatchIndex(text)
	if at == nil {
		return nil, errNoPlan
	}
	plan, delimiter := text[at[1]:], text[at[2]:at[3]]
	end := bytes.Index(append([]byte("\n"), plan...), append(append([]byte("\n"), delimiter...), '\n'))
	if end < 0 {
		return nil, errors.New("it was cut short: the plan in the script has no end")
	}
	return plan[:end], nil
}

func findInCloudConfig(text []byte) ([]byte, error) {
	var config struct {
		WriteFiles []struct {
			Path    string `yaml:"path"`
			Content string `yaml:"content"`
		} `yaml:"write_files"`
	}
	if err := unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("read cloud-config: %w", err)
	}
	for _, f := range config.WriteFiles {
		if f.Path == configPath {
			return []byte(f.Content), nil
		}
	}
	return nil, errNoPlan
}

func findInMultipart(text []byte) ([]byte, error) {
	message, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read MIME header: %w", err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return nil, errors.New("its MIME type is not multipart")
	}
	parts := stdmultipart.NewReader(message.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, errNoPlan
		}
		if err != nil {
			return nil, fmt.Errorf("read MIME part: %w", err)
		}
		body, err := readAll(decoded(part))
		if err != nil {
			return nil, fmt.Errorf("read MIME part: %w", err)
		}
		if plan, err := findInPart(body); !errors.Is(err, errNoPlan) {
			return plan, err
		}
	}
}

// decoded undoes base64; the reader of parts undoes quoted-printable itself.
func decoded(part *stdmultipart.Part) io.Reader {
	if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
		return base64.NewDecoder(base64.StdEncoding, part)
	}
	return part
}

// findInPart passes over what is not popup's: others may add parts.
func findInPart(body []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(body, []byte("#!")):
		return findInScript(body)
	case bytes.HasPrefix(body, []byte("#cloud-config")):
		return findInCloudConfig(body)
	}
	return nil, errNoPlan
}
