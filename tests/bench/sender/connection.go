package main

import (
	"bufio"
	"cless/tests/bench/pattern"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	bufferBytes = 256 << 10
	// How long one request may take.
	patience = 60 * time.Second
)

// What is sent again and again.
type load struct {
	address, host    string
	download, upload int64
	once             bool
	head, answer     string
}

// prepare makes what is the same for all requests.
func (l *load) prepare() {
	fields := fmt.Sprintf("Host: %s\r\n", l.host)
	if l.once {
		fields += "Connection: close\r\n"
	}
	if l.upload == 0 {
		l.head = fmt.Sprintf("GET /%d HTTP/1.1\r\n%s\r\n", l.download, fields)
		return
	}
	l.head = fmt.Sprintf("POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", fields, l.upload)
	var digest pattern.Digest
	pattern.Write(&digest, l.upload)
	l.answer = digest.String()
}

// One that is made when it is needed, and again when the proxy has closed it.
type connection struct {
	load   *load
	buffer []byte
	conn   net.Conn
	reader *bufio.Reader
}

// exchange sends one request, and reads its whole answer.
func (c *connection) exchange() error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.load.address, patience)
		if err != nil {
			return err
		}
		// Small beside the buffer that bodies are read into: what is as large goes there directly.
		c.conn, c.reader = conn, bufio.NewReaderSize(conn, 4096)
	}
	c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, c.load.head); err != nil {
		return err
	}
	if err := pattern.Write(c.conn, c.load.upload); err != nil {
		return fmt.Errorf("in the middle of an upload: %w", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	if err := c.check(response); err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if response.Close || c.load.once {
		c.close()
	}
	return nil
}

// check reads an answer to its end, and compares it with what it should be.
func (c *connection) check(response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("200 was expected")
	}
	if c.load.upload > 0 {
		answer, err := io.ReadAll(io.LimitReader(response.Body, bufferBytes))
		if err == nil && string(answer) != c.load.answer {
			err = fmt.Errorf("the app has counted %.80q, and not %q", answer, c.load.answer)
		}
		return err
	}
	for offset := int64(0); ; {
		n, err := response.Body.Read(c.buffer)
		if wrong := pattern.Check(c.buffer[:n], offset); wrong != nil {
			return wrong
		}
		offset += int64(n)
		if err == io.EOF && offset == c.load.download {
			return nil
		}
		if err == io.EOF {
			return fmt.Errorf("%d bytes instead of %d", offset, c.load.download)
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", offset, err)
		}
	}
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
