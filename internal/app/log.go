package app

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Logging makes a logger of a level (debug, info, warn, error) and a format (text, json),
// and hands it to the libraries that log by themselves. verbosity above 0 shows what the
// Kubernetes client says at that level. It is for processes that are nothing but a
// controller: the libraries' loggers are global.
func Logging(out io.Writer, level, format string, verbosity int) (logr.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("log level: %w", err)
	}
	if verbosity > 0 {
		least = min(least, slog.Level(-verbosity))
	}
	options := &slog.HandlerOptions{Level: least}
	var handler slog.Handler
	switch format {
	case "", "text":
		handler = slog.NewTextHandler(out, options)
	case "json":
		handler = slog.NewJSONHandler(out, options)
	default:
		return logr.Logger{}, fmt.Errorf("log format: %q is neither text nor json", format)
	}
	logger := logr.FromSlogHandler(handler)
	log.SetLogger(logger)
	klog.SetLogger(logger)
	return logger, nil
}
