// Sends each request when it is due, whatever has become of those before it, and takes its time from then to the end of
// its answer. A proxy that stands still for a moment so gets the blame for all that were due meanwhile; to wait for
// answers before sending more would let it off, which Gil Tene calls coordinated omission (see the README of wrk2).
// It prints one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Memory from which on the collector runs, bytes; until then its pauses would be the sender's, and not the proxy's.
const roomyBytes = 512 << 20

// What is printed; of the requests that were due after the warm-up.
type report struct {
	// From when it was due to the end of its answer, of each that was answered as it should be.
	Micros []int64 `json:"micros"`
	// By how much the sender itself was late, of each request.
	LateMicros []int64 `json:"lateMicros"`
	// How many had another answer or none, warm-up included.
	Failures int `json:"failures"`
	// What was wrong with the first of them.
	Failure string `json:"failure"`
	// How many connections there were in the end.
	Connections int `json:"connections"`
}

func main() {
	address := flag.String("address", "", "the proxy, such as 127.0.0.1:8080")
	hosts := flag.String("hosts", "", "what Host may say, with commas between them; each as often as the others")
	rate := flag.Float64("rate", 0, "how many requests are due in a second, on average")
	warmUp := flag.Float64("warm-up", 0, "how many seconds are not measured")
	seconds := flag.Float64("seconds", 0, "how many seconds are, after those")
	seed := flag.Int64("seed", 1, "for when requests are due, and for whom")
	flag.Parse()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(roomyBytes)

	unmeasured := duration(*warmUp)
	names := strings.Split(*hosts, ",")
	requests := schedule(*rate, unmeasured+duration(*seconds), len(names), *seed)
	pool := newPool(*address, names)
	send(requests, pool)
	if err := json.NewEncoder(os.Stdout).Encode(summarize(requests, unmeasured, pool)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}

func summarize(requests []*request, unmeasured time.Duration, pool *pool) report {
	made := report{Micros: []int64{}, LateMicros: []int64{}, Connections: pool.open}
	for _, r := range requests {
		if r.err != nil {
			if made.Failures++; made.Failures == 1 {
				made.Failure = r.err.Error()
			}
		}
		if r.after < unmeasured {
			continue
		}
		made.LateMicros = append(made.LateMicros, r.late.Microseconds())
		if r.err == nil {
			made.Micros = append(made.Micros, r.took.Microseconds())
		}
	}
	return made
}
