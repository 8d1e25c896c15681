package controlplane

import (
	"io"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

// sink is where all logs of this process's control plane go. The writer behind it
// changes with every control plane; the loggers, which are global, are set once.
type sink struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		return len(p), nil
	}
	return s.w.Write(p)
}

// Sync has nothing to flush; zap asks for it.
func (s *sink) Sync() error { return nil }

var (
	logs      sink
	routeLogs sync.Once
)

// captureLogs sends everything that Kubernetes logs from now on to w; nil discards it.
func captureLogs(w io.Writer) {
	logs.mu.Lock()
	logs.w = w
	logs.mu.Unlock()
	routeLogs.Do(func() {
		// klog forbids changing its logger while it is in use, hence once.
		klog.SetLoggerWithOptions(
			textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&logs), textlogger.Verbosity(0))),
			klog.ContextualLogger(true))
	})
}

// etcdLogger lets only warnings and errors through.
func etcdLogger() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, &logs, zap.WarnLevel))
}
