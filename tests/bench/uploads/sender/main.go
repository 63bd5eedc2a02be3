// Sends one upload as fast as the proxy takes it, and GETs beside it that are due at fixed times. It checks every
// answer, and prints one line of JSON.
package main

import (
	"bufio"
	"bytes"
	"cless/tests/bench/pattern"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// How long the whole upload may take.
	uploadTimeout = 5 * time.Minute
	// How much is written at once, at least. Small chunks leave the client in batches: the hardest case for a proxy.
	batchBytes = 64 << 10
)

// What is printed.
type report struct {
	// From the first byte to the app's answer.
	Seconds float64 `json:"seconds"`
	// From when each GET was due to the end of its answer.
	ProbeMicros []int64 `json:"probeMicros"`
}

func main() {
	address := flag.String("address", "", "the proxy, such as 127.0.0.1:8080")
	host := flag.String("host", "", "what Host says")
	path := flag.String("path", "/", "where the upload goes")
	length := flag.Int64("bytes", 0, "the length of the upload")
	chunk := flag.Int64("chunk", 0, "the length of its chunks; 0 for one with Content-Length")
	rate := flag.Float64("probes", 50, "how many GETs are due in a second; 0 for none")
	flag.Parse()
	made, err := run(*address, *host, *path, *length, *chunk, *rate)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(made)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

func run(address, host, path string, length, chunk int64, rate float64) (report, error) {
	var made report
	stop := make(chan struct{})
	probed := make(chan error, 1)
	go func() {
		var err error
		if rate > 0 {
			made.ProbeMicros, err = probe(address, host, rate, stop)
		}
		probed <- err
	}()
	began := time.Now()
	err := upload(address, host, path, length, chunk)
	made.Seconds = time.Since(began).Seconds()
	close(stop)
	if probeErr := <-probed; err == nil {
		err = probeErr
	}
	return made, err
}

// upload sends the content, and compares the app's count and checksum with its own.
func upload(address, host, path string, length, chunk int64) error {
	conn, err := net.DialTimeout("tcp", address, uploadTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(uploadTimeout))
	framing := fmt.Sprintf("Content-Length: %d", length)
	if chunk > 0 {
		framing = "Transfer-Encoding: chunked"
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", path, host, framing); err != nil {
		return err
	}
	if chunk > 0 {
		err = writeChunks(conn, length, chunk)
	} else {
		err = pattern.Write(conn, length)
	}
	if err != nil {
		return fmt.Errorf("in the middle of the upload: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("no answer to the upload: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	var digest pattern.Digest
	pattern.Write(&digest, length)
	if response.StatusCode != http.StatusOK || string(answer) != digest.String() {
		return fmt.Errorf("status %d, %.80q instead of %q", response.StatusCode, answer, digest.String())
	}
	return nil
}

// writeChunks sends the content in chunks of one length, as many of them at once as fill a batch.
func writeChunks(conn net.Conn, length, chunk int64) error {
	batch := bytes.NewBuffer(make([]byte, 0, batchBytes+chunk+32))
	content := pattern.NewReader(length)
	for left := length; left > 0; {
		size := min(chunk, left)
		fmt.Fprintf(batch, "%x\r\n", size)
		if _, err := io.CopyN(batch, content, size); err != nil {
			return err
		}
		batch.WriteString("\r\n")
		left -= size
		if left == 0 {
			batch.WriteString("0\r\n\r\n")
		}
		if batch.Len() < batchBytes && left > 0 {
			continue
		}
		if _, err := conn.Write(batch.Bytes()); err != nil {
			return err
		}
		batch.Reset()
	}
	return nil
}
