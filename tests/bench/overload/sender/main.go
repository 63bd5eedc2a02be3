// Sends requests to a proxy that may refuse some of them, and counts what becomes of each. An open loop sends each
// request when it is due, whatever has become of those before it; a closed loop sends the next one after each answer.
// It prints one line of JSON.
package main

import (
	"cless/tests/bench/pattern"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Memory from which on the collector runs, bytes; until then its pauses would be the sender's, and not the proxy's.
const roomyBytes = 768 << 20

func main() {
	address := flag.String("address", "", "the proxy, such as 127.0.0.1:8080")
	open := flag.String("open", "", "open loops: HOST=RATE with commas between them")
	closed := flag.String("closed", "", "a closed loop: HOST=CONNECTIONS")
	path := flag.String("path", "/", "what is asked for")
	answer := flag.String("answer", pattern.Head, "the body of the app's answer")
	mostConnections := flag.Int("connections", 1000, "the most connections of an open loop; more requests wait here")
	seconds := flag.Float64("seconds", 0, "for how long")
	seed := flag.Int64("seed", 1, "for when requests are due")
	flag.Parse()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(roomyBytes)

	period := time.Duration(*seconds * float64(time.Second))
	var flows []*flow
	var running sync.WaitGroup
	for at, text := range strings.Split(*open, ",") {
		if text == "" {
			continue
		}
		host, rate := split(text)
		f := newFlow(host, *address, *path, *answer, *mostConnections)
		flows = append(flows, f)
		running.Add(1)
		go func(seed int64) {
			defer running.Done()
			f.sendWhenDue(rate, period, seed)
		}(*seed + int64(at))
	}
	if *closed != "" {
		host, connections := split(*closed)
		f := newFlow(host, *address, *path, *answer, int(connections))
		flows = append(flows, f)
		running.Add(1)
		go func() {
			defer running.Done()
			f.sendAfterAnswers(int(connections), period)
		}()
	}
	running.Wait()
	reports := []report{}
	for _, f := range flows {
		reports = append(reports, f.report())
	}
	if err := json.NewEncoder(os.Stdout).Encode(reports); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func split(text string) (string, float64) {
	host, number, _ := strings.Cut(text, "=")
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return host, value
}
