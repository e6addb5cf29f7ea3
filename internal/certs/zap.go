package certs

import (
	"context"
	"log/slog"
	"slices"

	"go.uber.org/zap/zapcore"
)

// A zapCore carries what certmagic logs into slog, all of it as Debug: what a
// person should know (got one, failed and why) is told by Certs, once.
type zapCore struct {
	handler slog.Handler
	fields  []zapcore.Field
}

func (z zapCore) Enabled(zapcore.Level) bool {
	return z.handler.Enabled(context.Background(), slog.LevelDebug)
}

func (z zapCore) With(fields []zapcore.Field) zapcore.Core {
	z.fields = slices.Concat(z.fields, fields)
	return z
}

func (z zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) {
		return checked.AddCore(e, z)
	}
	return checked
}

func (z zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(z.fields, fields) {
		f.AddTo(values)
	}
	record := slog.NewRecord(e.Time, slog.LevelDebug, e.Message, 0)
	record.AddAttrs(slog.String("from", "certmagic"), slog.String("level_there", e.Level.String()))
	for key, value := range values.Fields {
		record.AddAttrs(slog.Any(key, value))
	}
	return z.handler.Handle(context.Background(), record)
}

func (z zapCore) Sync() error { return nil }
