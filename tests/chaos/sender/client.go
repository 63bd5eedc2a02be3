package main

import (
	"bufio"
	"cless/tests/bench/due"
	"cless/tests/bench/pattern"
	"cless/tests/chaos/frame"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// How long a request may take before it counts as lost.
	patience = 60 * time.Second
	// How many connections are kept at least, each of which is used in its turn.
	leastKept = 16
	// More than any answer has that is compared as a whole.
	mostBytes = 1 << 20
	// How often a WebSocket sends, and in how many pieces an upload comes.
	echoEvery    = 200 * time.Millisecond
	uploadPieces = 20
	// What an answer has that nobody reads.
	mutedBytes = 50 << 20
	halfBytes  = 1 << 20
	// Clients that never end by themselves connect this slowly: that they come all at once is not the subject here.
	connectEvery   = 5 * time.Millisecond
	tcpEstablished = 1
	// The last part of the time until a request is due is waited for exactly, and cannot be stopped.
	lastSleep = 20 * time.Millisecond
	// Bytes of data in a segment that fits into an Ethernet frame of 1,500 bytes.
	ethernetSegment = 1448
)

// Sends the requests of a flow.
type client struct {
	flow    flow
	address string
	tally   *tally
	stop    <-chan struct{}
	tokens  atomic.Int64
	pending sync.WaitGroup

	// A place for each connection, where they are limited.
	places chan struct{}

	mutex sync.Mutex
	// The connection that has been idle for longest comes first.
	kept []*connection
}

type connection struct {
	net.Conn
	reader *bufio.Reader
	// Whether it has carried an answer before.
	used bool
	// How many bytes have come.
	received int
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received += n
	return n, err
}

// run sends until it is stopped, and waits for what is under way.
func (c *client) run(seed int64) {
	defer c.pending.Wait()
	if c.flow.Connections > 0 {
		c.places = make(chan struct{}, c.flow.Connections)
	}
	switch {
	case c.flow.Clients > 0:
		c.hold()
	case c.flow.Workers > 0:
		c.ask()
	default:
		c.sendWhenDue(seed)
	}
}

func (c *client) isStopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

func (c *client) sendWhenDue(seed int64) {
	defer due.Prepare()()
	random := rand.New(rand.NewSource(seed))
	for moment := time.Now(); !c.isStopped(); moment = moment.Add(due.Gap(random, c.flow.Rate)) {
		select {
		case <-c.stop:
			return
		case <-time.After(time.Until(moment) - lastSleep):
		}
		due.SleepUntil(moment)
		late := time.Since(moment)
		c.tally.begin()
		c.pending.Add(1)
		go func() {
			defer c.pending.Done()
			c.send(moment, late)
		}()
	}
}

func (c *client) ask() {
	for n := 0; n < c.flow.Workers; n++ {
		c.pending.Add(1)
		go func() {
			defer c.pending.Done()
			for !c.isStopped() {
				c.tally.begin()
				c.send(time.Now(), 0)
			}
		}()
	}
}

func (c *client) send(moment time.Time, late time.Duration) {
	o := outcome{due: moment, late: late}
	if c.places != nil {
		c.places <- struct{}{}
		defer func() { <-c.places }()
	}
	if conn, failure := c.connect(); failure != nil {
		o.failure = failure
	} else {
		conn.SetDeadline(time.Now().Add(patience + time.Duration(c.flow.Ms)*time.Millisecond))
		goesOn := c.exchange(conn, &o)
		c.release(conn, goesOn && o.failure == nil && !c.flow.Fresh)
	}
	o.end = time.Now()
	if o.wait == 0 {
		o.wait = o.end.Sub(moment)
	}
	c.tally.add(o)
}

func (c *client) connect() (*connection, *failure) {
	if conn := c.take(); conn != nil {
		return conn, nil
	}
	dialer := net.Dialer{Timeout: patience}
	if c.flow.Kind == "mute" {
		dialer.Control = useEthernetSegments
	}
	conn, err := dialer.Dial("tcp", c.address)
	switch {
	case err == nil:
		made := &connection{Conn: conn}
		made.reader = bufio.NewReaderSize(made, 4096)
		return made, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, &failure{cause: "refused"}
	case errors.Is(err, syscall.ECONNRESET):
		return nil, &failure{cause: "reset before an answer"}
	default:
		return nil, &failure{cause: "no connection: " + err.Error()}
	}
}

// useEthernetSegments limits a connection to segments as they are on Ethernet. Linux makes the send buffer of a
// connection as large as 20 or more of its segments (tcp_init_buffer_space). A segment of the loopback device has 64 KB,
// so the kernel would take 2.6 MB of each answer that nobody reads.
func useEthernetSegments(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, ethernetSegment)
	})
	return errors.Join(err, failed)
}

// take is the next kept connection that is still open; nil where another has to be made.
func (c *client) take() *connection {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	least := leastKept
	if c.flow.Workers > 0 || c.flow.Connections > 0 {
		least = max(1, c.flow.Connections-len(c.places)+1)
	}
	for len(c.kept) >= least {
		conn := c.kept[0]
		c.kept = c.kept[1:]
		if conn.isOpen() {
			return conn
		}
		conn.Close()
	}
	return nil
}

// isOpen tells whether the other side has not closed an idle connection, as every client looks before it sends.
func (c *connection) isOpen() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	isOpen := false
	raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		isOpen = err == syscall.EAGAIN
	})
	return isOpen
}

func (c *client) release(conn *connection, goesOn bool) {
	if !goesOn {
		conn.Close()
		return
	}
	conn.used = true
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.kept = append(c.kept, conn)
}

// exchange sends a request and takes its answer; tells whether another may come after it on this connection.
func (c *client) exchange(conn *connection, o *outcome) bool {
	token := strconv.FormatInt(c.tokens.Add(1), 36)
	before := conn.received
	fail := func(err error, answering bool) bool {
		var timeout net.Error
		cause := err.Error()
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			cause = fmt.Sprintf("nothing for %s", patience)
		case answering && isEnd(err):
			cause = "cut off in the answer"
		case isEnd(err) && conn.received > before:
			cause = "cut off in the head"
		case isEnd(err) && conn.used:
			cause = "a kept connection closed before an answer"
		case isEnd(err):
			cause = "reset before an answer"
		}
		o.failure = &failure{cause, answering}
		return false
	}
	method, want, err := c.write(conn, token)
	if err != nil && !isEnd(err) {
		return fail(err, false)
	}
	if c.flow.Kind == "upload" {
		// Only from then on somebody waits.
		defer func(sent time.Time) { o.wait = time.Since(sent) }(time.Now())
	}
	// Where it was refused in the middle, the answer may say why.
	response, err := http.ReadResponse(conn.reader, &http.Request{Method: method})
	if err != nil {
		return fail(err, false)
	}
	isSocket := c.flow.Kind == "socket"
	if isSocket && response.StatusCode == http.StatusSwitchingProtocols {
		return c.echo(conn, token, o, fail)
	}
	if response.StatusCode != http.StatusOK || isSocket {
		body, _ := io.ReadAll(io.LimitReader(response.Body, mostBytes))
		code := response.Header.Get("cless-error")
		if code == "" {
			code = fmt.Sprintf("%.60q", body)
		}
		o.failure = &failure{cause: fmt.Sprintf("%d %s", response.StatusCode, code)}
		return !response.Close
	}
	if c.flow.Kind == "stream" {
		o.wait = time.Since(o.due)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBytes))
	if err != nil {
		return fail(err, true)
	}
	if !strings.HasSuffix(string(body), want) {
		return fail(fmt.Errorf("wrong answer: %.60q", body), true)
	}
	if c.flow.Kind == "get" {
		o.greeting = strings.TrimSpace(strings.TrimSuffix(string(body), want))
	}
	return !response.Close
}

// write sends a request; returns how its answer has to end.
func (c *client) write(conn *connection, token string) (method, want string, err error) {
	fields := "Host: " + c.flow.Host + "\r\n"
	if c.flow.Fresh {
		fields += "Connection: close\r\n"
	}
	switch c.flow.Kind {
	case "upload":
		return c.upload(conn, token, fields)
	case "socket":
		fields = "Host: " + c.flow.Host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		_, err = fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\n%s\r\n", token, fields)
		return http.MethodGet, "", err
	case "stream":
		_, err = fmt.Fprintf(conn, "GET /%s?stream=%d HTTP/1.1\r\n%s\r\n", token, c.flow.Ms, fields)
		return http.MethodGet, "\n" + token, err
	default:
		_, err = fmt.Fprintf(conn, "GET /%s?%s HTTP/1.1\r\n%s\r\n", token, c.flow.Query, fields)
		return http.MethodGet, " " + token, err
	}
}

// upload sends a body in pieces, over as long as the flow says.
func (c *client) upload(conn *connection, token, fields string) (method, want string, err error) {
	var body strings.Builder
	var digest pattern.Digest
	pattern.Write(io.MultiWriter(&body, &digest), c.flow.Bytes)
	if c.flow.Chunked {
		fields += "Transfer-Encoding: chunked\r\n"
	} else {
		fields += fmt.Sprintf("Content-Length: %d\r\n", c.flow.Bytes)
	}
	method, want = http.MethodPost, digest.String()
	if _, err = fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\n%s\r\n", token, fields); err != nil {
		return
	}
	pause := time.Duration(c.flow.Ms) * time.Millisecond / uploadPieces
	for rest, size := body.String(), max(1, body.Len()/uploadPieces); rest != ""; {
		piece := rest[:min(size, len(rest))]
		rest = rest[len(piece):]
		if c.flow.Chunked {
			piece = fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
		}
		if _, err = io.WriteString(conn, piece); err != nil {
			return
		}
		time.Sleep(pause)
	}
	if c.flow.Chunked {
		_, err = io.WriteString(conn, "0\r\n\r\n")
	}
	return
}

// echo sends over a WebSocket as long as the flow says, waits for each echo, and closes it in order.
func (c *client) echo(conn *connection, token string, o *outcome, fail func(error, bool) bool) bool {
	exchange := func(opcode byte, payload string) error {
		sent := time.Now()
		if err := frame.Write(conn, opcode, []byte(payload), true); err != nil {
			return err
		}
		got, echoed, err := frame.Read(conn.reader)
		for err == nil && got == frame.Ping {
			if err = frame.Write(conn, frame.Pong, echoed, true); err == nil {
				got, echoed, err = frame.Read(conn.reader)
			}
		}
		if err == nil && (got != opcode || string(echoed) != payload) {
			err = fmt.Errorf("the WebSocket echoed %d %q and not %d %q", got, echoed, opcode, payload)
		}
		o.wait = max(o.wait, time.Since(sent))
		return err
	}
	o.wait = time.Since(o.due)
	for end := o.due.Add(time.Duration(c.flow.Ms) * time.Millisecond); ; time.Sleep(echoEvery) {
		if err := exchange(frame.Text, token); err != nil {
			return fail(err, true)
		}
		if !time.Now().Before(end) {
			break
		}
	}
	if err := exchange(frame.Close, "\x03\xe8"); err != nil {
		return fail(err, true)
	}
	return false
}

// hold opens connections of clients that never end by themselves, and waits until they are ended or it is stopped.
func (c *client) hold() {
	for n := 0; n < c.flow.Clients && !c.isStopped(); n++ {
		c.pending.Add(1)
		go func() {
			defer c.pending.Done()
			c.tally.end(c.holdOne())
		}()
		time.Sleep(connectEvery)
	}
}

func (c *client) holdOne() string {
	conn, failed := c.connect()
	if failed != nil {
		return failed.cause
	}
	defer conn.Close()
	switch c.flow.Kind {
	case "mute":
		// What the kernel takes in unread is not to hide that nobody reads.
		conn.Conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(conn, "GET /mute?bytes=%d HTTP/1.1\r\nHost: %s\r\n\r\n", mutedBytes, c.flow.Host)
		return c.untilClosed(conn)
	case "half":
		fmt.Fprintf(conn, "POST /half HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\nhalf", c.flow.Host, halfBytes)
	}
	ended := make(chan string, 1)
	go func() {
		response, err := http.ReadResponse(conn.reader, nil)
		if err != nil {
			ended <- "closed"
			return
		}
		ended <- strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, response.Header.Get("cless-error")))
	}()
	select {
	case how := <-ended:
		return how
	case <-c.stop:
		return "held to the end"
	}
}

// untilClosed waits until the other side closes a connection, without reading what has come on it.
func (c *client) untilClosed(conn *connection) string {
	raw, err := conn.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err.Error()
	}
	for tick := time.NewTicker(progressEvery); ; {
		select {
		case <-c.stop:
			return "held to the end"
		case <-tick.C:
		}
		// The first byte of the kernel's figures is the connection's state (tcp(7)).
		state := tcpEstablished
		raw.Control(func(fd uintptr) {
			if figures, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO); err == nil {
				state = figures & 255
			}
		})
		if state != tcpEstablished {
			return "closed"
		}
	}
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
