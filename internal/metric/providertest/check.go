package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-io/penstock/internal/metric"
)

const (
	// limit is the time limit of checks that wait for it, long that of all others.
	limit, long = time.Second, time.Minute
	// patience is how long a check waits for something that must not take long.
	patience = 4 * time.Second
)

// serve runs one measurement against a source with this behaviour.
func serve(f Fixture, h http.HandlerFunc) (metric.Result, error) {
	s := httptest.NewServer(h)
	defer s.Close()
	return f.New().Measure(context.Background(), f.Request(s.URL, long))
}

func answer(f Fixture, a Answer) (metric.Result, error) {
	return serve(f, func(w http.ResponseWriter, _ *http.Request) { a.write(w) })
}

func checkValues(f Fixture) error {
	return each(f.Values, func(_ string, a Answer) error {
		got, err := answer(f, a)
		if err != nil {
			return err
		}
		if d := cmp.Diff(a.Want, got, cmpopts.EquateNaNs()); d != "" {
			return fmt.Errorf("result (-want +got):\n%s", d)
		}
		return nil
	})
}

func checkNoData(f Fixture) error {
	return each(f.NoData, func(_ string, a Answer) error {
		got, err := answer(f, a)
		switch {
		case err != nil:
			return fmt.Errorf("want no data, got the error %w", err)
		case got.Kind != metric.NoData:
			return fmt.Errorf("want no data, got %+v", got)
		case got.Why == "" || a.Want.Why != "" && got.Why != a.Want.Why:
			return fmt.Errorf("why is %q, want %q", got.Why, a.Want.Why)
		case !cmp.Equal(a.Want.Value, got.Value, cmpopts.EquateNaNs()):
			return fmt.Errorf("value is %v, want %v", got.Value, a.Want.Value)
		}
		return nil
	})
}

func checkBroken(f Fixture) error {
	return each(f.Broken, func(_ string, a Answer) error {
		got, err := answer(f, a)
		if err == nil {
			return fmt.Errorf("want an error, got %+v", got)
		}
		if a.WantErr == "" || !strings.Contains(err.Error(), a.WantErr) {
			return fmt.Errorf("the error is %q, want %q in it", err, a.WantErr)
		}
		return sentence(err)
	})
}

// sentence: an error is one line.
func sentence(err error) error {
	if strings.Contains(err.Error(), "\n") {
		return fmt.Errorf("the error has several lines: %q", err)
	}
	return nil
}

func checkStatus(f Fixture) error {
	for _, status := range []int{404, 500, 503} {
		got, err := answer(f, Answer{Status: status, Body: "<html>sorry</html>"})
		if err == nil {
			return fmt.Errorf("status %d gave %+v", status, got)
		}
		if !strings.Contains(err.Error(), fmt.Sprint(status)) {
			return fmt.Errorf("the error does not name the status %d: %q", status, err)
		}
	}
	return nil
}

func checkUnreachable(f Fixture) error {
	// Not the port of a server that was closed: another process may have got it meanwhile.
	const nobody = "http://127.0.0.1:1"
	got, err := f.New().Measure(context.Background(), f.Request(nobody, long))
	if err == nil {
		return fmt.Errorf("nobody listens, got %+v", got)
	}
	if !strings.Contains(err.Error(), "refused") {
		return fmt.Errorf("the error does not name the cause: %q", err)
	}
	return sentence(err)
}

// hang is a source that never finishes; start is what it does first.
func hang(f Fixture, ctx context.Context, start func(http.ResponseWriter)) (time.Duration, error) {
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if start != nil {
			start(w)
		}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(end)
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		got, err := f.New().Measure(ctx, f.Request(s.URL, limit))
		if err == nil {
			err = fmt.Errorf("%w: %+v", errNoError, got)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return time.Since(began), err
	case <-time.After(limit + patience):
		return patience, errors.New("the call does not come back")
	}
}

var errNoError = errors.New("the call gave a result")

func checkSlow(f Fixture) error { return limited(f, nil) }

func checkStall(f Fixture) error {
	return limited(f, func(w http.ResponseWriter) {
		_, _ = w.Write([]byte(`{"sta`))
		w.(http.Flusher).Flush()
	})
}

func limited(f Fixture, start func(http.ResponseWriter)) error {
	took, err := hang(f, context.Background(), start)
	if errors.Is(err, errNoError) {
		return err
	}
	if took > limit+patience/2 {
		return fmt.Errorf("took %s, with a limit of %s: %w", took, limit, err)
	}
	if !strings.Contains(err.Error(), limit.String()) {
		return fmt.Errorf("the error does not name the limit of %s: %q", limit, err)
	}
	return nil
}

// maxAnswer is more than any provider may read.
const maxAnswer = 64 << 20

func checkEndless(f Fixture) error {
	chunk := bytes.Repeat([]byte(" "), 1<<16)
	var sent int
	var mu sync.Mutex
	_, err := serve(f, func(w http.ResponseWriter, _ *http.Request) {
		for range maxAnswer / len(chunk) {
			n, err := w.Write(chunk)
			mu.Lock()
			sent += n
			mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if err == nil {
		return errors.New("an endless answer gave a result")
	}
	if sent >= maxAnswer {
		return fmt.Errorf("the provider read all %d bytes", sent)
	}
	return nil
}

func checkWire(f Fixture) error {
	var mu sync.Mutex
	var got *http.Request
	var body []byte
	_, err := serve(f, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = r
		body, _ = io.ReadAll(r.Body) // a short body shows in the comparison
		f.Echo("x").write(w)
	})
	mu.Lock()
	defer mu.Unlock()
	if got == nil {
		return fmt.Errorf("no request came: %w", err)
	}
	if err != nil {
		return err
	}
	seen := Wire{Method: got.Method, Path: got.URL.Path, Query: got.URL.RawQuery, Body: string(body), Header: map[string]string{}}
	for _, k := range slices.Sorted(maps.Keys(f.Wire.Header)) {
		seen.Header[k] = got.Header.Get(k)
	}
	if d := cmp.Diff(f.Wire, seen, cmpopts.EquateEmpty()); d != "" {
		return fmt.Errorf("request (-want +got):\n%s", d)
	}
	if !f.Anonymous && got.Header.Get("Authorization") == "" && leaked(fmt.Sprint(got.Header, got.URL, string(body))) == "" {
		return errors.New("the fixture's request carries no credential")
	}
	return nil
}

// echoed is everything a request held, as a talkative source repeats it.
func echoed(r *http.Request) string {
	body, _ := io.ReadAll(r.Body) // what was read is echoed
	var b strings.Builder
	for k, v := range r.Header {
		fmt.Fprintf(&b, "%s: %s; ", k, strings.Join(v, ","))
	}
	user, pass, _ := r.BasicAuth()
	return b.String() + user + " " + pass + " " + r.URL.String() + " " + string(body) + " " + Secret
}

func checkSecrets(f Fixture) error {
	sources := map[string]http.HandlerFunc{
		"a good answer":  func(w http.ResponseWriter, r *http.Request) { f.Echo(echoed(r)).write(w) },
		"a server error": func(w http.ResponseWriter, r *http.Request) { Answer{Status: 500, Body: echoed(r)}.write(w) },
		"garbage":        func(w http.ResponseWriter, r *http.Request) { Answer{Body: `{"status":` + echoed(r)}.write(w) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			redirect(w, "http://127.0.0.1:1/?t="+url.QueryEscape(Secret))
		},
		"a bad redirect":  func(w http.ResponseWriter, r *http.Request) { redirect(w, "bogus://"+url.PathEscape(Secret)) },
		"an error answer": func(w http.ResponseWriter, r *http.Request) { errorAnswer(w, echoed(r)) },
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		got, err := serve(f, sources[name])
		text := got.Display + " " + got.Why + " " + got.Message + " " + fmt.Sprint(got.Metadata, got.Names)
		if err != nil {
			text += " " + err.Error()
		}
		if leak := leaked(text); leak != "" {
			return fmt.Errorf("%s: %q comes out: %s", name, leak, text)
		}
	}
	r := f.Request("http://127.0.0.1:1", long)
	if leak := leaked(fmt.Sprint(f.New().Describe(r))); leak != "" {
		return fmt.Errorf("Describe holds %q", leak)
	}
	return nil
}

// checkCuts: the words of the source stand wherever one of the protocols looks for them, and
// end in the middle of a secret wherever they are cut.
func checkCuts(f Fixture) error {
	for before := range 256 {
		words := fmt.Sprintf("%q", strings.Repeat("x", before)+Secret)
		body := fmt.Sprintf(`{"status":"error","errorType":"bad_data","error":%[1]s,"errorMessage":%[1]s,"code":"c","message":%[1]s,"errors":[{"message":%[1]s}]}`, words)
		for _, a := range []Answer{{Body: body}, {Status: 400, Body: body}, {Status: 400, Body: strings.Repeat("x", before) + Secret}} {
			got, err := answer(f, a)
			text := fmt.Sprint(got.Display, got.Why, got.Message, got.Metadata, err)
			if part := Secret[:5]; strings.Contains(text, part) {
				return fmt.Errorf("%d bytes before a secret, %q of it comes out: %s", before, part, text)
			}
		}
	}
	return nil
}

// checkDescribe: the sentence of a failed run ends with what was asked.
func checkDescribe(f Fixture) error {
	told := f.New().Describe(f.Request("http://127.0.0.1:1", long))
	for key, text := range told {
		if strings.HasPrefix(key, "Resolved") && text != "" {
			return nil
		}
	}
	return fmt.Errorf("Describe has no text under a key that begins with Resolved: %v", told)
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

func errorAnswer(w http.ResponseWriter, text string) {
	Answer{Status: 400, Body: fmt.Sprintf(`{"status":"error","errorType":"bad_data","error":%q}`, text)}.write(w)
}

// leaked returns the spelling of the secret that text holds.
func leaked(text string) string {
	quoted := fmt.Sprintf("%q", Secret)
	for _, form := range []string{Secret, url.QueryEscape(Secret), url.PathEscape(Secret), quoted[1 : len(quoted)-1]} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

func checkCancel(f Fixture) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	took, err := hang(f, ctx, func(http.ResponseWriter) { cancel() })
	switch {
	case errors.Is(err, errNoError):
		return err
	case took >= limit:
		return fmt.Errorf("took %s after the cancellation: %w", took, err)
	case !strings.Contains(err.Error(), "canceled"):
		return fmt.Errorf("the error does not name the cause: %q", err)
	}
	return nil
}

func checkConcurrent(f Fixture) error {
	good := f.Echo("x")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { good.write(w) }))
	defer s.Close()
	p := f.New()
	want, err := p.Measure(context.Background(), f.Request(s.URL, long))
	if err != nil {
		return err
	}
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 10 {
				got, err := p.Measure(context.Background(), f.Request(s.URL, long))
				if err == nil && !reflect.DeepEqual(got, want) {
					err = fmt.Errorf("got %+v, want %+v", got, want)
				}
				errs[i] = errors.Join(errs[i], err)
				p.Describe(f.Request(s.URL, long))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
