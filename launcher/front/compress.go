package front

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// An encoding is a Content-Encoding; empty: the file as it is.
type encoding string

// The encodings, the best first where a client likes several alike.
var encodings = []encoding{"zstd", "br", "gzip"}

// accepted returns the encoding an Accept-Encoding header likes best. A header
// that cannot be read accepts nothing.
func accepted(header string) encoding {
	weights := map[encoding]float64{}
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(item, ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
			v, err := strconv.ParseFloat(q, 64)
			if err != nil {
				v = 0
			}
			weight = v
		}
		weights[encoding(strings.ToLower(strings.TrimSpace(name)))] = weight
	}
	best, bestWeight := encoding(""), weights["identity"] // 0 where it is not named: anything named is liked better
	for _, enc := range encodings {
		if weights[enc] > bestWeight || (best == "" && weights[enc] > 0 && weights[enc] == bestWeight) {
			best, bestWeight = enc, weights[enc]
		}
	}
	return best
}

// compress returns plain in an encoding. The levels are for bytes that are sent
// many times and compressed once.
func compress(enc encoding, plain []byte) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch enc {
	case "zstd": // browsers refuse windows over 8 MiB
		w, err = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	case "br":
		w = brotli.NewWriterLevel(&out, 5)
	case "gzip":
		w, err = gzip.NewWriterLevel(&out, gzip.DefaultCompression)
	default:
		err = fmt.Errorf("encoding %q is not known", enc)
	}
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("compress as %s: %w", enc, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress as %s: %w", enc, err)
	}
	return out.Bytes(), nil
}
