package main

import (
	"bufio"
	"cless/tests/bench/pattern"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// More than any right answer has.
const mostBytes = 4096

// The connections to the proxy. A request never waits for one: where none is idle, another is opened.
type pool struct {
	address string
	// What is sent, for each host.
	heads []string
	// Requests that were begun and have no answer yet.
	pending sync.WaitGroup

	mutex sync.Mutex
	idle  []*connection
	open  int
	// After that nothing that comes counts any more.
	over bool
}

// A connection, which is always being read: an answer is seen when it comes.
type connection struct {
	conn net.Conn
	// What it is used for; nil while it is idle.
	request *request
}

func newPool(address string, hosts []string) *pool {
	p := &pool{address: address}
	for _, host := range hosts {
		p.heads = append(p.heads, fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host))
	}
	return p
}

// begin sends a request, and does not wait for its answer.
func (p *pool) begin(r *request) {
	p.pending.Add(1)
	if c := p.take(r); c != nil {
		p.write(c, r)
		return
	}
	go p.beginAnew(r)
}

// take gives the idle connection that was used last to a request.
func (p *pool) take(r *request) *connection {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle = p.idle[:last]
	c.request = r
	return c
}

func (p *pool) beginAnew(r *request) {
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		p.end(r, time.Now(), err)
		return
	}
	c := &connection{conn: conn, request: r}
	p.mutex.Lock()
	p.open++
	p.mutex.Unlock()
	go p.read(c)
	p.write(c, r)
}

func (p *pool) write(c *connection, r *request) {
	// Whoever reads the connection sees that it is broken, and ends the request.
	if _, err := io.WriteString(c.conn, p.heads[r.host]); err != nil {
		c.conn.Close()
	}
}

// read takes the answers one after the other, until one is not as it should be or the connection ends.
func (p *pool) read(c *connection) {
	defer c.conn.Close()
	reader := bufio.NewReaderSize(c.conn, 4096)
	for goesOn := true; goesOn; {
		isLast, err := readAnswer(reader)
		now := time.Now()
		goesOn = err == nil && !isLast
		r := p.release(c, goesOn)
		if r == nil {
			// The proxy has closed a connection that nobody used, which is its right.
			return
		}
		p.end(r, now, err)
	}
}

// release takes from a connection the request that it was used for; nil where there was none.
func (p *pool) release(c *connection, goesOn bool) *request {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	r := c.request
	c.request = nil
	if r != nil && goesOn {
		p.idle = append(p.idle, c)
		return r
	}
	p.open--
	p.idle = slices.DeleteFunc(p.idle, func(other *connection) bool { return other == c })
	return r
}

// end notes what has become of a request.
func (p *pool) end(r *request, now time.Time, err error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.over {
		return
	}
	r.took, r.err = now.Sub(r.due), err
	p.pending.Done()
}

// wait resolves when all requests have ended; those that have not in some time count as unanswered.
func (p *pool) wait(patience time.Duration) {
	done := make(chan struct{})
	go func() {
		p.pending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.over = true
}

// readAnswer reads an answer to its end, and compares it with what the app sends; tells whether no other comes after it.
func readAnswer(reader *bufio.Reader) (isLast bool, err error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return true, fmt.Errorf("no answer: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBytes))
	if err != nil {
		return true, fmt.Errorf("status %d: after %d bytes: %w", response.StatusCode, len(body), err)
	}
	if response.StatusCode != http.StatusOK || string(body) != pattern.Head {
		return true, fmt.Errorf("wrong answer: status %d, %.80q", response.StatusCode, body)
	}
	return response.Close, nil
}
