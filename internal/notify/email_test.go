package notify

import (
	"fmt"
	"io"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// letter is what an SMTP server took.
type letter struct {
	user, from string
	to         []string
	text       string
}

// postOffice keeps the letters that it gets from those who sign in.
type postOffice struct {
	letters chan letter
}

func (p postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &counter{office: p}, nil }

// counter is one session.
type counter struct {
	office postOffice
	letter
}

func (c *counter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if c.user = user; password != "t" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (c *counter) Mail(from string, _ *smtp.MailOptions) error {
	c.from = from
	return nil
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = append(c.to, to)
	return nil
}

func (c *counter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	c.text = string(text)
	c.office.letters <- c.letter
	return err
}

func (c *counter) Reset()        {}
func (c *counter) Logout() error { return nil }

func TestAnEMailArrives(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	office := postOffice{make(chan letter, 1)}
	server := smtp.NewServer(office)
	server.Domain, server.AllowInsecureAuth, server.ReadTimeout = "localhost", true, time.Minute
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		server.Serve(listener) //nolint:errcheck // it ends when it is closed
	}()
	t.Cleanup(func() {
		server.Close() //nolint:errcheck // the same
		<-closed
	})
	port := listener.Addr().(*net.TCPAddr).Port
	mailed := func(password string) *Config {
		return parsed(map[string]string{
			"service.email":    fmt.Sprintf("{host: 127.0.0.1, port: %d, username: penstock, password: %s, from: penstock@localhost}", port, password),
			"template.aborted": "message: it is back on stable\nemail: {subject: '{{.rollout.metadata.name}} was aborted'}",
		}, nil)
	}
	to := Destination{Service: "email", Recipient: "a@localhost, b@localhost"}
	c := mailed("$slack-token")
	n, err := c.Message([]string{"aborted"}, subject(), to)
	if err == nil {
		err = c.Send("id-1", n, to)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := <-office.letters
	m, err := mail.ReadMessage(strings.NewReader(got.text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil || got.user != "penstock" || got.from != "penstock@localhost" || strings.Join(got.to, " ") != "a@localhost b@localhost" ||
		m.Header.Get("Subject") != "web was aborted" || strings.TrimSpace(string(body)) != "it is back on stable" {
		t.Errorf("%v: %+v", err, got)
	}
	if err := mailed("wrong").Send("id-1", n, to); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("with a wrong password: %v", err)
	}
}
