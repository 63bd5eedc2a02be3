package main

import (
	"cless/tests/bench/due"
	"errors"
	"math/rand"
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

// schedule makes the requests of a period. The same seed gives the same requests.
func schedule(rate float64, period time.Duration, hosts int, seed int64) []*request {
	random := rand.New(rand.NewSource(seed))
	var requests []*request
	for after := due.Gap(random, rate); after < period; after += due.Gap(random, rate) {
		requests = append(requests, &request{after: after, host: random.Intn(hosts), err: errUnanswered})
	}
	return requests
}

// send begins each request when it is due, and waits until all are answered.
func send(requests []*request, pool *pool) {
	defer due.Prepare()()
	began := time.Now()
	for _, r := range requests {
		r.due = began.Add(r.after)
		due.SleepUntil(r.due)
		r.late = time.Since(r.due)
		pool.begin(r)
	}
	pool.wait(patience)
}
