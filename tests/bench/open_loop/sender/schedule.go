package main

import (
	"errors"
	"math/rand"
	"runtime"
	"syscall"
	"time"
)

// How long after the last request was due there may still be answers.
const patience = 30 * time.Second

var errUnanswered = errors.New("no answer in time")

// A request, and what becomes of it.
type request struct {
	// When it is due, from the beginning on.
	after time.Duration
	// Which of the hosts it is for.
	host int
	// The moment when it is due.
	due time.Time
	// By how much it was begun too late, which is the sender's fault.
	late time.Duration
	// From when it was due to the end of its answer.
	took time.Duration
	err  error
}

// schedule makes the requests of a period: like those of many people who know nothing of each other, which is a Poisson
// process. The same seed gives the same requests.
func schedule(rate float64, period time.Duration, hosts int, seed int64) []*request {
	random := rand.New(rand.NewSource(seed))
	gap := func() time.Duration { return time.Duration(random.ExpFloat64() / rate * float64(time.Second)) }
	var requests []*request
	for after := gap(); after < period; after += gap() {
		requests = append(requests, &request{after: after, host: random.Intn(hosts), err: errUnanswered})
	}
	return requests
}

// send begins each request when it is due, and waits until all are answered.
func send(requests []*request, pool *pool) {
	// One processor more than threads that want one: this thread should find one free when it wakes up.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// By default the kernel may wake a thread up to 50 µs late. Where it refuses, the lateness that is told is larger.
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, 1, 0)
	began := time.Now()
	for _, r := range requests {
		r.due = began.Add(r.after)
		sleepUntil(r.due)
		r.late = time.Since(r.due)
		pool.begin(r)
	}
	pool.wait(patience)
}

// sleepUntil does what time.Sleep would do up to a millisecond too late: Go waits for timers by epoll_wait, which counts
// in milliseconds.
func sleepUntil(moment time.Time) {
	for left := time.Until(moment); left > 0; left = time.Until(moment) {
		pause := syscall.NsecToTimespec(left.Nanoseconds())
		syscall.Nanosleep(&pause, nil)
	}
}
