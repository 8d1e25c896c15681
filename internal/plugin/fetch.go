package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// maxBinary bounds a binary, in bytes.
const maxBinary = 1 << 30

// fetch brings an item's binary here, if it is not here yet, and returns its path. It has
// the wanted sum before it may be executed.
func (r *Registry) fetch(ctx context.Context, item Item) (string, error) {
	name := strings.ReplaceAll(item.Name, "/", "_")
	want := strings.ToLower(item.SHA256)
	target := filepath.Join(r.Dir, r.Kind.Cookie+"_"+name+"_"+want[:min(12, len(want))])
	if want != "" {
		if sum, err := sumOf(target); err == nil && sum == want {
			return target, nil
		}
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return "", fmt.Errorf("make room for the binary: %w", err)
	}
	source, err := r.open(ctx, item)
	if err != nil {
		return "", err
	}
	defer source.Close()
	f, err := os.CreateTemp(r.Dir, name+"_*")
	if err != nil {
		return "", fmt.Errorf("make room for the binary: %w", err)
	}
	defer os.Remove(f.Name()) // gone already where all went well
	sum, err := copyOf(f, source)
	switch {
	case err != nil:
		return "", fmt.Errorf("fetch %s: %w", item.Location, err)
	case want == "":
		return "", fmt.Errorf("sha256 is not set; if you trust what is at %s now, set it to %s", item.Location, sum)
	case sum != want:
		return "", fmt.Errorf("sha256 is %s, but %s has %s: it is not executed", want, item.Location, sum)
	}
	if err := errors.Join(os.Chmod(f.Name(), 0o700), os.Rename(f.Name(), target)); err != nil {
		return "", fmt.Errorf("put the binary in its place: %w", err)
	}
	return target, nil
}

// open reads a binary from where it is.
func (r *Registry) open(ctx context.Context, item Item) (io.ReadCloser, error) {
	u, err := url.Parse(item.Location)
	if err != nil {
		return nil, fmt.Errorf("location: %w", err)
	}
	switch u.Scheme {
	case "file":
		f, err := os.Open(filepath.Join(u.Host, u.Path) + u.Opaque)
		if err != nil {
			return nil, fmt.Errorf("location: %w", err)
		}
		return f, nil
	case "http", "https":
		return r.download(ctx, u, item)
	}
	return nil, fmt.Errorf("location: want an http, https or file URL, got %q", item.Location)
}

func (r *Registry) download(ctx context.Context, u *url.URL, item Item) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("location: %w", err)
	}
	for _, from := range item.HeadersFrom {
		data, err := r.Secrets(ctx, from.SecretRef.Name)
		if err != nil {
			return nil, fmt.Errorf("headersFrom: %w", err)
		}
		for k, v := range data {
			req.Header.Set(k, strings.TrimSpace(string(v)))
		}
	}
	client := &http.Client{CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(item.HeadersFrom) > 0 && next.URL.Host != via[0].URL.Host {
			for k := range via[0].Header { // all of them are credentials
				next.Header.Del(k)
			}
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the binary: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, fmt.Errorf("fetch %s: the status is %s", item.Location, resp.Status)
	}
	return resp.Body, nil
}

// copyOf writes a binary and returns its sum.
func copyOf(to *os.File, from io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(from, maxBinary+1))
	if err = errors.Join(err, to.Close()); err != nil {
		return "", err
	}
	if n > maxBinary {
		return "", fmt.Errorf("it is larger than %d MiB", maxBinary>>20)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
