package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The published handshake. Its version is that of net/rpc; Second is gRPC, and both are
// offered to every program.
const (
	protocolVersion = 1
	cookieKey       = "ARGO_ROLLOUTS_RPC_PLUGIN"
	// Second is the version of the protocol of plugin/v2.
	Second = 2
)

// patience is how many calls in a row may run out of time before a plugin that still
// answers pings is started anew.
const patience = 3

// slack is how much sooner than ours the deadline of a call may be over on the plugin's side.
const slack = 100 * time.Millisecond

// Error is the published RpcError: what a method without another answer returns; no text
// is no error.
type Error struct{ ErrorString string }

// process is a plugin that is started when it is needed.
type process struct {
	registry *Registry
	entry    Entry
	// life ends with the entry.
	life context.Context
	over context.CancelFunc

	mu       sync.Mutex
	live     *connection
	starting *start // nil while nobody starts it
	failed   error  // of the last start
	at       time.Time
	version  int // of the protocol, as it was negotiated last; 0 before
}

// start is one attempt to start the program. It is nobody's own: whoever comes meanwhile
// waits for it as long as he has time, and it goes on when nobody waits any more.
type start struct {
	done chan struct{}
	c    *connection
	err  error
}

// connection is to one run of the program.
type connection struct {
	client *goplugin.Client
	cmd    *exec.Cmd
	proto  goplugin.ClientProtocol
	rpc    *rpc.Client      // nil with the second protocol
	grpc   *grpc.ClientConn // nil with the first
	late   atomic.Int32     // calls in a row that ran out of time
}

func newProcess(r *Registry, e Entry) *process {
	p := &process{registry: r, entry: e}
	p.life, p.over = context.WithCancel(context.Background())
	return p
}

// speaks tells the version of the protocol. A program that has told it once need not run.
func (p *process) speaks(ctx context.Context) (int, error) {
	p.mu.Lock()
	version := p.version
	p.mu.Unlock()
	if version != 0 {
		return version, nil
	}
	c, err := p.connect(ctx)
	if err != nil {
		return 0, fmt.Errorf("plugin %s: %w", p.entry.Name, err)
	}
	return c.client.NegotiatedVersion(), nil
}

// call calls a method of net/rpc within ctx.
func (p *process) call(ctx context.Context, method string, args, reply any) error {
	c, err := p.connect(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("plugin %s: %w", p.entry.Name, err)
	case c.rpc == nil:
		return fmt.Errorf("plugin %s speaks protocol %d now: the next call takes that", p.entry.Name, Second)
	}
	select {
	case done := <-c.send(method, args, reply):
		if broken(done.Error) {
			p.drop(c)
			return fmt.Errorf("plugin %s has died: %w", p.entry.Name, done.Error)
		}
		c.late.Store(0)
		return done.Error
	case <-ctx.Done():
		go p.doubt(ctx, c)
		return p.unanswered(ctx, method)
	}
}

// invoke calls a method of gRPC within ctx.
func (p *process) invoke(ctx context.Context, method string, args, reply any) error {
	c, err := p.connect(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("plugin %s: %w", p.entry.Name, err)
	case c.grpc == nil:
		return fmt.Errorf("plugin %s speaks protocol %d now: the next call takes that", p.entry.Name, protocolVersion)
	}
	err = c.grpc.Invoke(ctx, method, args, reply, grpc.MaxCallRecvMsgSize(maxAnswer))
	if due, ok := ctx.Deadline(); ok && time.Until(due) < slack && slices.Contains([]codes.Code{codes.Canceled, codes.DeadlineExceeded}, status.Code(err)) {
		<-ctx.Done() // the plugin's clock was a little ahead
	}
	switch {
	case ctx.Err() != nil && err != nil:
		go p.doubt(ctx, c)
		return p.unanswered(ctx, method[strings.LastIndex(method, "/")+1:])
	case status.Code(err) == codes.Unavailable && !c.answers():
		p.drop(c)
		return fmt.Errorf("plugin %s has died: %s", p.entry.Name, status.Convert(err).Message())
	}
	c.late.Store(0)
	return err
}

func (p *process) unanswered(ctx context.Context, method string) error {
	return fmt.Errorf("plugin %s: no answer to %s in time: %w", p.entry.Name, method, ctx.Err())
}

// send calls without waiting, not even for the writing of the call, which blocks when the
// plugin does not read.
func (c *connection) send(method string, args, reply any) <-chan *rpc.Call {
	done := make(chan *rpc.Call, 1)
	go c.rpc.Go("Plugin."+method, args, reply, done)
	return done
}

// broken tells a connection that is gone from an answer that is an error, and from arguments
// that gob refuses.
func broken(err error) bool {
	var answer rpc.ServerError
	return err != nil && !errors.As(err, &answer) && !strings.HasPrefix(err.Error(), "gob: ")
}

// answers pings.
func (c *connection) answers() bool {
	if c.client.Exited() {
		return false
	}
	alive := make(chan error, 1)
	go func() { alive <- c.proto.Ping() }()
	select {
	case err := <-alive:
		return err == nil
	case <-time.After(pingLimit):
		return false
	}
}

// doubt asks whether a plugin that did not answer in time is there at all, and ends it if
// it is not, or if it has happened too often. Whoever gave up before has learnt nothing.
func (p *process) doubt(ctx context.Context, c *connection) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	if late := c.late.Add(1); late < patience && c.answers() {
		return
	}
	p.drop(c)
}

// drop ends a run of the program; the next call starts another.
func (p *process) drop(c *connection) {
	p.mu.Lock()
	if p.live == c {
		p.live = nil
	}
	p.mu.Unlock()
	c.kill()
}

// end is for good, and waits for what runs.
func (p *process) end() {
	p.over()
	p.mu.Lock()
	c, s := p.live, p.starting
	p.live = nil
	p.mu.Unlock()
	if s != nil {
		<-s.done
	}
	if c != nil {
		c.kill()
	}
}

// kill ends the program, which is asked first: one that is stopped would never answer.
func (c *connection) kill() {
	gone := make(chan struct{})
	go func() {
		c.client.Kill()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(killLimit):
		c.cmd.Process.Kill() //nolint:errcheck // it may have gone this moment
		<-gone
	}
}

// connect returns the connection, and starts the program where there is none.
func (p *process) connect(ctx context.Context) (*connection, error) {
	p.mu.Lock()
	if p.live != nil && p.live.client.Exited() {
		go p.live.kill() // what is left of it
		p.live = nil
	}
	s := p.starting
	switch {
	case p.life.Err() != nil:
		p.mu.Unlock()
		return nil, errors.New("its entry has changed; the next call takes the new one")
	case p.live != nil:
		defer p.mu.Unlock()
		return p.live, nil
	case s == nil && p.failed != nil && time.Since(p.at) < rest:
		defer p.mu.Unlock()
		return nil, p.failed
	case s == nil:
		s = &start{done: make(chan struct{})}
		p.starting = s
		go p.begin(s)
	}
	p.mu.Unlock()
	select {
	case <-s.done:
		return s.c, s.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for its start: %w", ctx.Err())
	}
}

// begin starts the program for all who wait.
func (p *process) begin(s *start) {
	s.c, s.err = p.start(p.life)
	p.mu.Lock()
	p.starting, p.failed, p.at = nil, s.err, time.Now()
	switch {
	case s.err != nil:
	case p.life.Err() != nil:
		go s.c.kill()
		s.c, s.err = nil, p.life.Err()
	default:
		p.live, p.version = s.c, s.c.client.NegotiatedVersion()
	}
	p.mu.Unlock()
	close(s.done)
}

// start fetches the binary, starts it, and lets it set itself up.
func (p *process) start(ctx context.Context) (*connection, error) {
	limited, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	path, err := p.registry.fetch(limited, p.entry.Item)
	if err != nil {
		return nil, err
	}
	c, err := p.launch(ctx, path)
	for i := 0; i < 3 && err != nil && strings.Contains(err.Error(), "text file busy"); i++ {
		// A child that was forked while the binary was written holds it open for a moment.
		c, err = p.launch(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if c.rpc == nil {
		return c, nil // the second protocol has nothing to set up
	}
	if err := c.setUp(ctx); err != nil {
		c.kill()
		return nil, fmt.Errorf("InitPlugin: %w", err)
	}
	return c, nil
}

func (c *connection) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, initLimit)
	defer cancel()
	reply := &Error{}
	select {
	case done := <-c.send("InitPlugin", new(any), reply):
		if done.Error == nil && reply.ErrorString != "" {
			return errors.New(reply.ErrorString)
		}
		return done.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

// launch starts the program and goes through the handshake, which has no context of its
// own: when ctx ends first, the program is killed, and that ends the handshake.
func (p *process) launch(ctx context.Context, path string) (*connection, error) {
	kind := p.registry.Kind
	sum, err := hex.DecodeString(p.entry.SHA256)
	if err != nil {
		return nil, err
	}
	out := func() io.Writer {
		return &lines{log: func(line string) { p.registry.Log.Info(line, "plugin", p.entry.Name) }}
	}
	cmd := exec.Command(path, p.entry.Args...) //nolint:gosec // its sum was given by whoever runs the controller
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: kind.Cookie},
		VersionedPlugins: map[int]goplugin.PluginSet{
			protocolVersion: {kind.Dispense: raw{}}, Second: {kind.Dispense: rawGRPC{}}},
		Cmd:              cmd,
		SecureConfig:     &goplugin.SecureConfig{Checksum: sum, Hash: sha256.New()},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolNetRPC, goplugin.ProtocolGRPC},
		StartTimeout:     startLimit,
		Stderr:           out(), // what it prints at first, and when it panics
		SyncStdout:       out(),
		SyncStderr:       out(),
		Logger:           own(p.entry.Name, out()),
	})
	type started struct {
		c   *connection
		err error
	}
	done := make(chan started, 1)
	go func() {
		c, err := dispense(client, kind)
		done <- started{c, err}
	}()
	select {
	case s := <-done:
		if s.err != nil {
			client.Kill()
			return nil, greeting(kind, s.err)
		}
		s.c.cmd = cmd
		return s.c, nil
	case <-ctx.Done():
		go client.Kill()
		return nil, ctx.Err()
	}
}

func dispense(client *goplugin.Client, kind Kind) (*connection, error) {
	proto, err := client.Client()
	if err != nil {
		return nil, err
	}
	got, err := proto.Dispense(kind.Dispense)
	if err != nil {
		return nil, err
	}
	c := &connection{client: client, proto: proto}
	c.rpc, _ = got.(*rpc.Client)
	c.grpc, _ = got.(*grpc.ClientConn)
	return c, nil
}

// raw gives the connection itself: callers know the methods.
type raw struct{}

func (raw) Server(*goplugin.MuxBroker) (any, error) { return nil, errors.New("this is the other side") }

func (raw) Client(_ *goplugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

// rawGRPC is the same of the second protocol.
type rawGRPC struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (rawGRPC) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the other side")
}

func (rawGRPC) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}
