package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
)

// The published handshake.
const (
	protocolVersion = 1
	cookieKey       = "ARGO_ROLLOUTS_RPC_PLUGIN"
)

// patience is how many calls in a row may run out of time before a plugin that still
// answers pings is started anew.
const patience = 3

// Error is the published RpcError: what a method without another answer returns; no text
// is no error.
type Error struct{ ErrorString string }

// process is a plugin that is started when it is needed.
type process struct {
	registry *Registry
	entry    Entry
	// turn is held by whoever starts or ends the program.
	turn   chan struct{}
	live   *connection
	ended  bool
	failed error // of the last start
	at     time.Time
}

// connection is to one run of the program.
type connection struct {
	client *goplugin.Client
	proto  goplugin.ClientProtocol
	rpc    *rpc.Client
	late   atomic.Int32 // calls in a row that ran out of time
}

func newProcess(r *Registry, e Entry) *process {
	return &process{registry: r, entry: e, turn: make(chan struct{}, 1)}
}

// call calls a method within ctx.
func (p *process) call(ctx context.Context, method string, args, reply any) error {
	c, err := p.connect(ctx)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", p.entry.Name, err)
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
		go p.doubt(c)
		return fmt.Errorf("plugin %s: no answer to %s in time: %w", p.entry.Name, method, ctx.Err())
	}
}

// send calls without waiting, not even for the writing of the call, which blocks when the
// plugin does not read.
func (c *connection) send(method string, args, reply any) <-chan *rpc.Call {
	done := make(chan *rpc.Call, 1)
	go c.rpc.Go("Plugin."+method, args, reply, done)
	return done
}

// broken tells a connection that is gone from an answer that is an error.
func broken(err error) bool {
	var network net.Error
	return errors.Is(err, rpc.ErrShutdown) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

// doubt asks whether a plugin that did not answer in time is there at all, and ends it if
// it is not, or if it has happened too often.
func (p *process) doubt(c *connection) {
	late := c.late.Add(1)
	alive := make(chan error, 1)
	go func() { alive <- c.proto.Ping() }()
	select {
	case err := <-alive:
		if err == nil && late < patience {
			return
		}
	case <-time.After(pingLimit):
	}
	p.drop(c)
}

// drop ends a run of the program; the next call starts another.
func (p *process) drop(c *connection) {
	p.turn <- struct{}{}
	if p.live == c {
		p.live = nil
	}
	<-p.turn
	c.client.Kill()
}

// end is for good.
func (p *process) end() {
	p.turn <- struct{}{}
	c := p.live
	p.live, p.ended = nil, true
	<-p.turn
	if c != nil {
		c.client.Kill()
	}
}

// connect returns the connection, and starts the program where there is none. Only one
// caller starts; the others wait for it, each within its own ctx.
func (p *process) connect(ctx context.Context) (*connection, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for its start: %w", ctx.Err())
	}
	switch {
	case p.ended:
		return nil, errors.New("its entry has changed; the next call takes the new one")
	case p.live != nil && !p.live.client.Exited():
		return p.live, nil
	case p.failed != nil && time.Since(p.at) < rest:
		return nil, p.failed
	}
	if p.live != nil {
		p.live.client.Kill() // what is left of it
		p.live = nil
	}
	c, err := p.start(ctx)
	if p.failed, p.at = err, time.Now(); err != nil {
		return nil, err
	}
	p.live = c
	return c, nil
}

// start fetches the binary, starts it, and lets it set itself up.
func (p *process) start(ctx context.Context) (*connection, error) {
	path, err := p.registry.fetch(ctx, p.entry.Item)
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
	limited, cancel := context.WithTimeout(ctx, initLimit)
	defer cancel()
	reply := &Error{}
	select {
	case done := <-c.send("InitPlugin", new(any), reply):
		err = done.Error
		if err == nil && reply.ErrorString != "" {
			err = errors.New(reply.ErrorString)
		}
	case <-limited.Done():
		err = limited.Err()
	}
	if err != nil {
		c.client.Kill()
		return nil, fmt.Errorf("InitPlugin: %w", err)
	}
	return c, nil
}

// launch starts the program and goes through the handshake, which has no context of its
// own: when ctx ends first, the program is killed, and that ends the handshake.
func (p *process) launch(ctx context.Context, path string) (*connection, error) {
	kind := p.registry.Kind
	sum, err := hex.DecodeString(p.entry.SHA256)
	if err != nil {
		return nil, err
	}
	out := lines(func(line string) { p.registry.Log.Info(line, "plugin", p.entry.Name) })
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: kind.Cookie},
		Plugins:          goplugin.PluginSet{kind.Dispense: raw{}},
		Cmd:              exec.Command(path, p.entry.Args...), //nolint:gosec // its sum was given by whoever runs the controller
		SecureConfig:     &goplugin.SecureConfig{Checksum: sum, Hash: sha256.New()},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolNetRPC},
		StartTimeout:     startLimit,
		Logger:           hclog.New(&hclog.LoggerOptions{Name: p.entry.Name, Level: hclog.Info, Output: out, DisableTime: true}),
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
			return nil, oneLine(s.err)
		}
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
	return &connection{client: client, proto: proto, rpc: got.(*rpc.Client)}, nil
}

// raw gives the connection itself: callers know the methods.
type raw struct{}

func (raw) Server(*goplugin.MuxBroker) (any, error) { return nil, errors.New("this is the other side") }

func (raw) Client(_ *goplugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

// lines passes what a plugin prints on to the controller's log: a line for each write.
type lines func(line string)

func (l lines) Write(b []byte) (int, error) {
	l(strings.TrimSpace(string(b)))
	return len(b), nil
}

// oneLine keeps an error one line: that of the handshake explains itself at length.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return errors.New(text)
}
