package front

import (
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
)

// types are fixed here, because what the operating system has in its own table
// differs from one image to the next, and a bare one has none.
var types = map[string]string{
	".avif": "image/avif", ".bmp": "image/bmp", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".eot": "application/vnd.ms-fontobject", ".epub": "application/epub+zip", ".flac": "audio/flac",
	".geojson": "application/geo+json", ".gif": "image/gif", ".gz": "application/gzip", ".htm": "text/html; charset=utf-8",
	".html": "text/html; charset=utf-8", ".ico": "image/x-icon", ".ics": "text/calendar; charset=utf-8", ".jpeg": "image/jpeg",
	".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".jsonl": "application/jsonl",
	".log": "text/plain; charset=utf-8", ".m4a": "audio/mp4", ".map": "application/json", ".md": "text/markdown; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".mov": "video/quicktime", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
	".oga": "audio/ogg", ".ogg": "audio/ogg", ".ogv": "video/ogg", ".opus": "audio/ogg", ".otf": "font/otf",
	".pdf": "application/pdf", ".php": "text/plain; charset=utf-8", ".png": "image/png", ".rss": "application/rss+xml; charset=utf-8",
	".svg": "image/svg+xml", ".tar": "application/x-tar", ".tgz": "application/gzip", ".tsv": "text/tab-separated-values; charset=utf-8",
	".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm", ".wav": "audio/wav", ".weba": "audio/webm",
	".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff",
	".woff2": "font/woff2", ".xhtml": "application/xhtml+xml", ".xml": "application/xml; charset=utf-8", ".yaml": "application/yaml",
	".yml": "application/yaml", ".zip": "application/zip", ".zst": "application/zstd",
}

// typeOf returns the type of a file by its name, or for a name that says
// nothing (LICENSE) by its first bytes, of which only "this is text" is believed.
func typeOf(name string, f io.ReaderAt) string {
	if t, ok := types[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	head := make([]byte, 512)
	n, _ := f.ReadAt(head, 0) // an error here comes again, and is told, when the file is sent
	if strings.HasPrefix(http.DetectContentType(head[:n]), "text/") {
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// compressible says whether a type is worth compressing.
func compressible(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/jsonl", "application/geo+json", "application/manifest+json", "application/wasm", "application/xml",
		"application/xhtml+xml", "application/rss+xml", "application/yaml", "application/x-tar", "application/vnd.ms-fontobject",
		"font/otf", "font/ttf", "image/bmp", "image/svg+xml", "image/x-icon":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

// disarm sets the headers for what strangers uploaded, and returns the type to
// send it as. Pictures, sound, film and plain text are shown, in a sandbox; all
// else, pages and scripts above all, is only downloaded.
func disarm(h http.Header, contentType string) string {
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	media, _, _ := mime.ParseMediaType(contentType) // from the table above, so it parses
	for _, shown := range []string{"image/", "audio/", "video/"} {
		if strings.HasPrefix(media, shown) {
			return contentType
		}
	}
	if media == "text/plain" {
		return contentType
	}
	h.Set("Content-Disposition", "attachment")
	if media == "application/pdf" || media == "application/zip" || media == "text/csv" || media == "application/json" {
		return contentType
	}
	return "application/octet-stream"
}
