package main

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// More of an app's own words than a run makes are not told apart.
const mostGreetings = 200

// What became of one request.
type outcome struct {
	// When it was due, and when it ended.
	due, end time.Time
	// From when it was due to its answer, or the head of one that lasts; the longest time until an echo.
	wait time.Duration
	// By how much the sender itself was late.
	late time.Duration
	// What the app has said; empty where it says nothing that matters.
	greeting string
	// What was wrong; nil where nothing was.
	failure *failure
}

// What was wrong with a request.
type failure struct {
	cause string
	// Whether a good answer had begun.
	answering bool
}

// A failure as it is printed; times are milliseconds since 1970.
type failureReport struct {
	Flow      string  `json:"flow"`
	Kind      string  `json:"kind"`
	Host      string  `json:"host"`
	Began     float64 `json:"began"`
	Ended     float64 `json:"ended"`
	Cause     string  `json:"cause"`
	Answering bool    `json:"answering"`
}

// All that is told of a flow in the end.
type flowReport struct {
	Name string `json:"name"`
	Sent int    `json:"sent"`
	Good int    `json:"good"`
	// How many good answers there were when the sender was told to stop.
	GoodInTime int `json:"goodInTime"`
	// How many failures were not printed.
	Untold    int            `json:"untold"`
	LongestMs float64        `json:"longestMs"`
	P50Ms     float64        `json:"p50Ms"`
	P99Ms     float64        `json:"p99Ms"`
	LateP99Ms float64        `json:"lateP99Ms"`
	Greetings map[string]int `json:"greetings"`
	// How those ended that never end by themselves.
	Ends map[string]int `json:"ends"`
}

// Counts what becomes of the requests of a flow.
type tally struct {
	flow flow
	out  *output

	mutex     sync.Mutex
	sent      int
	failed    int
	waits     []time.Duration
	lates     []time.Duration
	inTime    int
	longest   time.Duration
	greetings map[string]int
	ends      map[string]int
}

func newTally(f flow, out *output) *tally {
	return &tally{flow: f, out: out, greetings: map[string]int{}, ends: map[string]int{}}
}

func (t *tally) begin() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.sent++
}

func (t *tally) add(o outcome) {
	t.mutex.Lock()
	t.longest = max(t.longest, o.wait)
	t.lates = append(t.lates, o.late)
	if o.failure == nil {
		t.waits = append(t.waits, o.wait)
		if o.greeting != "" && len(t.greetings) < mostGreetings {
			t.greetings[o.greeting]++
		}
		t.mutex.Unlock()
		return
	}
	t.failed++
	isTold := t.failed <= mostFailures
	t.mutex.Unlock()
	if isTold {
		t.out.print("failed", failureReport{
			Flow: t.flow.Name, Kind: t.flow.Kind, Host: t.flow.Host,
			Began: epochMs(o.due), Ended: epochMs(o.end),
			Cause: strings.TrimSpace(o.failure.cause), Answering: o.failure.answering,
		})
	}
}

// stopped notes what there is before the last answers come.
func (t *tally) stopped() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.inTime = len(t.waits)
}

// end notes how a client ended that does not end by itself.
func (t *tally) end(how string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.ends[how]++
}

func (t *tally) report() flowReport {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return flowReport{
		Name: t.flow.Name, Sent: t.sent, Good: len(t.waits), GoodInTime: t.inTime,
		Untold:    max(0, t.failed-mostFailures),
		LongestMs: ms(t.longest), P50Ms: at(t.waits, 0.5), P99Ms: at(t.waits, 0.99), LateP99Ms: at(t.lates, 0.99),
		Greetings: t.greetings, Ends: t.ends,
	}
}

// What all flows together have come to.
type progress struct {
	Sent   int `json:"sent"`
	Good   int `json:"good"`
	Failed int `json:"failed"`
	// By the name of the flow.
	GoodOf map[string]int `json:"goodOf"`
	// How many clients have ended that never end by themselves.
	Ended int `json:"ended"`
}

func progressOf(tallies []*tally) progress {
	made := progress{GoodOf: map[string]int{}}
	for _, t := range tallies {
		t.mutex.Lock()
		made.Sent += t.sent
		made.Good += len(t.waits)
		made.Failed += t.failed
		made.GoodOf[t.flow.Name] = len(t.waits)
		for _, count := range t.ends {
			made.Ended += count
		}
		t.mutex.Unlock()
	}
	return made
}

func epochMs(moment time.Time) float64 {
	return float64(moment.UnixMicro()) / 1000
}

func ms(period time.Duration) float64 {
	return float64(period.Microseconds()) / 1000
}

// at is a quantile by the nearest rank, ms.
func at(periods []time.Duration, share float64) float64 {
	if len(periods) == 0 {
		return 0
	}
	slices.Sort(periods)
	rank := int(share*float64(len(periods))+0.999999) - 1
	return ms(periods[min(max(rank, 0), len(periods)-1)])
}
