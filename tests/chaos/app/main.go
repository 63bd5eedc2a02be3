// The app of the chaos run. Whatever it is asked, the answer repeats what only this request can know.
//
//	GET /TOKEN                 GREETING and TOKEN
//	GET /TOKEN?work=10         the same, 10 ms later
//	GET /TOKEN?stream=2000     a line each 100 ms for 2 s, and TOKEN as the last one
//	GET /TOKEN?bytes=1000      so many bytes
//	GET /TOKEN?eat=64          takes 64 MB of memory more, and keeps them
//	POST /TOKEN                how many bytes came, and their checksum
//	a WebSocket                echoes
package main

import (
	"bufio"
	"cless/tests/bench/pattern"
	"cless/tests/chaos/frame"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const pageBytes = 4096

// How often a line of a stream comes.
const lineEvery = 100 * time.Millisecond

var (
	eaten [][]byte
	mutex sync.Mutex
)

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
	token, query := r.URL.Path[1:], r.URL.Query()
	switch {
	case r.Method == http.MethodPost:
		count(w, r)
	case r.Header.Get("Upgrade") != "":
		echo(w, r)
	case query.Has("stream"):
		stream(w, token, milliseconds(query, "stream"))
	case query.Has("bytes"):
		length, _ := strconv.ParseInt(query.Get("bytes"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
		pattern.Write(w, length)
	default:
		time.Sleep(milliseconds(query, "work"))
		eat(query.Get("eat"))
		fmt.Fprintf(w, "%s %s", os.Getenv("GREETING"), token)
	}
}

func milliseconds(query url.Values, name string) time.Duration {
	ms, _ := strconv.Atoi(query.Get(name))
	return time.Duration(ms) * time.Millisecond
}

func count(w http.ResponseWriter, r *http.Request) {
	var digest pattern.Digest
	if _, err := io.Copy(&digest, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, digest.String())
}

func stream(w http.ResponseWriter, token string, period time.Duration) {
	for end := time.Now().Add(period); time.Now().Before(end); time.Sleep(lineEvery) {
		if _, err := io.WriteString(w, "a line\n"); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
	io.WriteString(w, token)
}

// eat takes memory and writes to every page of it: what is only asked for takes none.
func eat(megabytes string) {
	count, _ := strconv.Atoi(megabytes)
	mutex.Lock()
	defer mutex.Unlock()
	for ; count > 0; count-- {
		piece := make([]byte, 1<<20)
		for at := 0; at < len(piece); at += pageBytes {
			piece[at] = 1
		}
		eaten = append(eaten, piece)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, frame.Acceptance(r.Header.Get("Sec-WebSocket-Key"))); err != nil {
		return
	}
	reader := bufio.NewReader(buffered)
	for {
		opcode, payload, err := frame.Read(reader)
		if opcode == frame.Ping {
			opcode = frame.Pong
		}
		if err != nil || frame.Write(conn, opcode, payload, false) != nil || opcode == frame.Close {
			return
		}
	}
}
