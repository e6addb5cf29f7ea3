package ec2fake

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// An element is a part of an answer.
type element struct {
	name, text string
	inner      []element
}

// el is an element with others in it.
func el(name string, inner ...element) element { return element{name: name, inner: inner} }

// tx is an element with a text in it.
func tx(name string, value any) element { return element{name: name, text: fmt.Sprint(value)} }

// set is a list, as EC2 writes one.
func set(name string, items [][]element) element {
	list := element{name: name}
	for _, item := range items {
		list.inner = append(list.inner, el("item", item...))
	}
	return list
}

// when is a time as EC2 writes one.
func when(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// done answers what has nothing to say.
func done() []element { return []element{tx("return", true)} }

func (e element) write(out *bytes.Buffer) {
	out.WriteString("<" + e.name + ">")
	_ = xml.EscapeText(out, []byte(e.text)) // a buffer takes all
	for _, inner := range e.inner {
		inner.write(out)
	}
	out.WriteString("</" + e.name + ">")
}

// An apiError is a refusal.
type apiError struct {
	Code    string
	Message string
	Status  int
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func (e *apiError) status(status int) *apiError {
	e.Status = status
	return e
}

// refuse is an error of whoever asks.
func refuse(code, format string, args ...any) *apiError {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// codeOf is the code of an error; empty: there is none.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return asAPI(err).Code
}

func asAPI(err error) *apiError {
	if refused, ok := errors.AsType[*apiError](err); ok {
		return refused
	}
	return &apiError{"InternalError", err.Error(), http.StatusInternalServerError}
}

// ec2Reply answers a request to EC2.
func ec2Reply(w http.ResponseWriter, action string, content []element, err error) {
	var out bytes.Buffer
	out.WriteString(xml.Header)
	id := tx("requestId", random(16))
	status := http.StatusOK
	if err != nil {
		refused := asAPI(err)
		status = refused.Status
		el("Response", el("Errors", el("Error", tx("Code", refused.Code), tx("Message", refused.Message))), tx("RequestID", id.text)).write(&out)
	} else {
		el(action+"Response", append([]element{id}, content...)...).write(&out)
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // whoever asked may be gone
}

// ssmReply answers a request to SSM. What it says of keys has other names there.
func ssmReply(w http.ResponseWriter, _ string, content []element, err error) {
	status := http.StatusOK
	var answer any
	if err != nil {
		refused := asAPI(err)
		code := refused.Code
		if name, ok := ssmNames[code]; ok {
			code = name
		}
		status, answer = refused.Status, map[string]string{"__type": code, "message": refused.Message}
	} else {
		parameter := map[string]any{}
		for _, e := range content {
			parameter[e.name] = e.text
		}
		parameter["Version"] = 1
		answer = map[string]any{"Parameter": parameter}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		text = []byte(err.Error())
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(text) // whoever asked may be gone
}

var ssmNames = map[string]string{
	"AuthFailure": "UnrecognizedClientException", "SignatureDoesNotMatch": "InvalidSignatureException", "RequestExpired": "ExpiredTokenException",
	"UnauthorizedOperation": "AccessDeniedException", "RequestLimitExceeded": "ThrottlingException",
}

// readSSM is what a request to SSM asks for.
func readSSM(call Call, target string, body []byte) (Call, error) {
	if call.Service != "ssm" {
		return call, refuse("AuthFailure", "Credential should be scoped to correct service: 'ssm'.")
	}
	call.Action = strings.TrimPrefix(target, "AmazonSSM.")
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		return call, refuse("SerializationException", "%v", err)
	}
	call.Params = map[string][]string{}
	for name, value := range in {
		call.Params.Set(name, fmt.Sprint(value))
	}
	return call, nil
}
