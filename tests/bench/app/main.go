// The app behind the proxies, as fast as it goes: `/N` is N bytes, `/` is 12, and an upload is counted. With `?work=N`
// the answer takes N ms.
package main

import (
	"cless/tests/bench/pattern"
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const mostBytes = 1 << 30

var buffers = sync.Pool{New: func() any {
	buffer := make([]byte, 256<<10)
	return &buffer
}}

func main() {
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(answer)}
	// Process 1 gets no default action for signals: without this it would not end on SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		count(w, r)
		return
	}
	if work, err := strconv.Atoi(r.URL.Query().Get("work")); err == nil {
		time.Sleep(time.Duration(work) * time.Millisecond)
	}
	length := int64(len(pattern.Head))
	if r.URL.Path != "/" {
		asked, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
		if err != nil || asked < 0 || asked > mostBytes {
			http.NotFound(w, r)
			return
		}
		length = asked
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	pattern.Write(w, length)
}

// count reads an upload; at so many bytes a second, if the query says so: `?rate=N`.
func count(w http.ResponseWriter, r *http.Request) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	var digest pattern.Digest
	var body io.Reader = r.Body
	if rate, err := strconv.ParseFloat(r.URL.Query().Get("rate"), 64); err == nil && rate > 0 {
		body = &slowReader{reader: r.Body, rate: rate, began: time.Now()}
	}
	if _, err := io.CopyBuffer(&digest, body, *buffer); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, digest.String())
}

// A reader of at most so many bytes a second.
type slowReader struct {
	reader io.Reader
	rate   float64
	began  time.Time
	read   int64
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(time.Until(s.began.Add(time.Duration(float64(s.read) / s.rate * float64(time.Second)))))
	n, err := s.reader.Read(p)
	s.read += int64(n)
	return n, err
}
