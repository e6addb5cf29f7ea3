package front

import (
	"fmt"
	"net/http"
	"time"

	"popup/templates"
)

// A notice is a page of one sentence.
type notice struct {
	status  int
	Title   string
	Text    string
	Try     string // what to do about it; empty: nothing
	retryIn time.Duration
}

type noticeJSON struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
}

func (n notice) answer() *answer {
	text := n.Title + "\n" + n.Text + "\n"
	if n.Try != "" {
		text += n.Try + "\n"
	}
	return &answer{
		status:  n.status,
		page:    templates.PageNotice,
		frame:   templates.Frame{Title: n.Title, Data: n},
		text:    text,
		json:    noticeJSON{n.status, n.Title, n.Text},
		retryIn: n.retryIn,
	}
}

func noticeNotFound() notice {
	return notice{status: http.StatusNotFound, Title: "Not found", Text: "There is no page at this address.",
		Try: "Check the address, or begin at the front page."}
}

func noticeMethod(method string) notice {
	return notice{status: http.StatusMethodNotAllowed, Title: "Not possible here",
		Text: fmt.Sprintf("This address is there to be read; it does not take %s.", sayMethod(method))}
}

func noticeTooLarge(limit int64) notice {
	return notice{status: http.StatusRequestEntityTooLarge, Title: "Too large",
		Text: fmt.Sprintf("What was sent is larger than %s.", sayBytes(limit)), Try: "Send it in smaller parts."}
}

func noticeReadOnly(name string, retry time.Duration) notice {
	return notice{status: http.StatusServiceUnavailable, Title: name + " is read-only now",
		Text: "What is here can be read; nothing new is taken.", retryIn: retry}
}

func noticeNoAnswer() notice {
	return notice{status: http.StatusBadGateway, Title: "The app does not answer",
		Text: "The machine is there, the program behind this page is not.", Try: "Try again in a moment.", retryIn: minRetry}
}

func noticeClosing() notice {
	return notice{status: http.StatusServiceUnavailable, Title: "Stopping", Text: "This machine is being stopped or restarted.",
		Try: "Try again in a moment.", retryIn: defaultRetryIn}
}

func noticeBusy() notice {
	return notice{status: http.StatusServiceUnavailable, Title: "Too many watchers", Text: "Many pages are open already.",
		Try: "Try again in a moment.", retryIn: defaultRetryIn}
}

func noticeBroken() notice {
	return notice{status: http.StatusInternalServerError, Title: "Something broke",
		Text: "This page could not be made.", Try: "Try again in a moment."}
}

// A failer is told why a handler could not answer; the reader is told less.
type failer interface{ failed(err error) }

// fail answers with n and tells err to whoever called the handler.
func fail(w http.ResponseWriter, r *http.Request, n notice, err error) {
	if f, ok := w.(failer); ok && err != nil {
		f.failed(err)
	}
	n.answer().write(w, r)
}

func sayMethod(m string) string {
	if len(m) > 20 {
		return "this method"
	}
	return m
}

func sayBytes(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func noticeBadBody() notice {
	return notice{status: http.StatusBadRequest, Title: "Not received whole", Text: "What was sent did not arrive as it was announced.",
		Try: "Send it again."}
}
