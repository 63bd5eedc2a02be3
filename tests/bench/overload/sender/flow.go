package main

import (
	"cless/tests/bench/due"
	"fmt"
	"io"
	"math/rand"
	"net"
	"slices"
	"sync"
	"time"
)

// How long after its end a load may still be answered.
const grace = time.Second

// How long after the last request was due there may still be answers.
const patience = 30 * time.Second

// Requests for one host, over connections of their own.
type flow struct {
	address string
	text    string
	answer  string
	most    int

	mutex sync.Mutex
	idle  []*connection
	open  int
	// When those requests were due that wait for a connection.
	waiting []time.Time
	pending int
	begun   int
	lateMax time.Duration
	// After that, nothing counts as answered any more.
	end     time.Time
	good    []int64
	shed    []int64
	failed  int
	tooLate int
	failure string
	over    bool
}

// A connection, and the request that it is used for.
type connection struct {
	conn net.Conn
	due  time.Time
	used bool
}

func newFlow(host, address, path, answer string, most int) *flow {
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	return &flow{address: address, text: text, answer: answer, most: most}
}

// sendWhenDue sends requests at random times, so many in a second on average, and waits for the answers.
func (f *flow) sendWhenDue(rate float64, period time.Duration, seed int64) {
	defer due.Prepare()()
	random := rand.New(rand.NewSource(seed))
	began := time.Now()
	f.end = began.Add(period + grace)
	for after := due.Gap(random, rate); after < period; after += due.Gap(random, rate) {
		moment := began.Add(after)
		due.SleepUntil(moment)
		f.lateMax = max(f.lateMax, time.Since(moment))
		f.begin(moment)
	}
	f.wait()
}

// sendAfterAnswers keeps so many requests in flight.
func (f *flow) sendAfterAnswers(connections int, period time.Duration) {
	end := time.Now().Add(period)
	var running sync.WaitGroup
	for n := 0; n < connections; n++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for time.Now().Before(end) {
				if !f.askUntil(end) {
					time.Sleep(10 * time.Millisecond)
				}
			}
		}()
	}
	running.Wait()
}

// askUntil sends one request after the other over a connection; false if there is none.
func (f *flow) askUntil(end time.Time) bool {
	conn, err := net.DialTimeout("tcp", f.address, patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	reader := newReader(conn, f.answer)
	for now := time.Now(); now.Before(end); now = time.Now() {
		f.mutex.Lock()
		f.begun++
		f.mutex.Unlock()
		conn.SetDeadline(now.Add(patience))
		_, err := io.WriteString(conn, f.text)
		var answer answer
		if err == nil {
			answer, err = reader.next()
		}
		f.mutex.Lock()
		f.note(answer, time.Since(now), err)
		f.mutex.Unlock()
		if err != nil || answer.isLast {
			return true
		}
	}
	return true
}

func (f *flow) begin(moment time.Time) {
	f.mutex.Lock()
	f.begun++
	f.pending++
	if last := len(f.idle) - 1; last >= 0 {
		c := f.idle[last]
		f.idle = f.idle[:last]
		c.due, c.used = moment, true
		f.mutex.Unlock()
		f.write(c)
		return
	}
	if f.open >= f.most {
		f.waiting = append(f.waiting, moment)
		f.mutex.Unlock()
		return
	}
	f.open++
	f.mutex.Unlock()
	go f.connect(moment)
}

func (f *flow) connect(moment time.Time) {
	conn, err := net.DialTimeout("tcp", f.address, patience)
	if err != nil {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.open--
		f.pending--
		f.note(answer{}, time.Since(moment), err)
		return
	}
	c := &connection{conn: conn, due: moment, used: true}
	go f.read(c)
	f.write(c)
}

// Whoever reads the connection sees that it is broken, and ends the request.
func (f *flow) write(c *connection) {
	if _, err := io.WriteString(c.conn, f.text); err != nil {
		c.conn.Close()
	}
}

func (f *flow) read(c *connection) {
	defer c.conn.Close()
	reader := newReader(c.conn, f.answer)
	for {
		answer, err := reader.next()
		now := time.Now()
		isLast := err != nil || answer.isLast
		f.mutex.Lock()
		if c.used {
			f.pending--
			f.note(answer, now.Sub(c.due), err)
		}
		c.used = false
		if isLast {
			f.open--
			f.idle = slices.DeleteFunc(f.idle, func(other *connection) bool { return other == c })
			f.mutex.Unlock()
			return
		}
		if len(f.waiting) == 0 {
			f.idle = append(f.idle, c)
			f.mutex.Unlock()
			continue
		}
		c.due, c.used = f.waiting[0], true
		f.waiting = f.waiting[1:]
		f.mutex.Unlock()
		f.write(c)
	}
}

// note counts an answer; the mutex is locked.
func (f *flow) note(answer answer, took time.Duration, err error) {
	if f.over {
		return
	}
	switch {
	case err == nil && answer.isGood && !f.end.IsZero() && time.Now().After(f.end):
		f.tooLate++
	case err == nil && answer.isGood:
		f.good = append(f.good, took.Microseconds())
	case err == nil && answer.isShed:
		f.shed = append(f.shed, took.Microseconds())
	default:
		if f.failed++; f.failed == 1 {
			f.failure = fmt.Sprintf("status %d, %v", answer.status, err)
		}
	}
}

func (f *flow) wait() {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		f.mutex.Lock()
		done := f.pending == 0
		f.mutex.Unlock()
		if done {
			break
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.over = true
	f.failed += f.pending
	if f.pending > 0 && f.failure == "" {
		f.failure = "no answer in time"
	}
}

// What is printed of a flow; times are in ms, and begin when a request was due.
type report struct {
	Begun       int     `json:"begun"`
	Good        int     `json:"good"`
	Shed        int     `json:"shed"`
	TooLate     int     `json:"tooLate"`
	Failed      int     `json:"failed"`
	Failure     string  `json:"failure"`
	GoodP50     float64 `json:"goodP50"`
	GoodP99     float64 `json:"goodP99"`
	GoodMax     float64 `json:"goodMax"`
	ShedP99     float64 `json:"shedP99"`
	Within250   int     `json:"within250"`
	LateMax     float64 `json:"lateMax"`
	Connections int     `json:"connections"`
}

func (f *flow) report() report {
	slices.Sort(f.good)
	slices.Sort(f.shed)
	within, _ := slices.BinarySearch(f.good, 250_001)
	return report{
		Begun: f.begun, Good: len(f.good), Shed: len(f.shed), TooLate: f.tooLate, Failed: f.failed, Failure: f.failure,
		GoodP50: percentile(f.good, 0.5), GoodP99: percentile(f.good, 0.99), GoodMax: percentile(f.good, 1),
		ShedP99: percentile(f.shed, 0.99), Within250: within,
		LateMax: float64(f.lateMax.Microseconds()) / 1000, Connections: f.open,
	}
}

func percentile(sorted []int64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]) / 1000
}
