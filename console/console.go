// Package console is what the console does: events, launches, enrolment, the fleet
// and its end. It declares the Store that keeps what it knows and the Cloud that
// instances come from.
package console
