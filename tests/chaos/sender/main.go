// Sends what a plan says until its standard input is closed, and looks at every answer. Requests are sent when they are
// due, whatever has become of those before: nobody is let off by standing still. It prints a line of JSON for each failure,
// every so often a line with the counts, and a last one with everything.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// Memory from which on the collector runs, bytes; until then its pauses would be the sender's, and not the proxy's.
	roomyBytes = 512 << 20
	// How often the counts are printed.
	progressEvery = 100 * time.Millisecond
	// How many failures of a flow are printed one by one.
	mostFailures = 5000
)

// What is sent to one service in one way.
type flow struct {
	Name string `json:"name"`
	// get, upload, stream, socket; or one of the clients that never end by themselves: idle, mute, half.
	Kind string `json:"kind"`
	Host string `json:"host"`
	// How many are due in a second, on average.
	Rate float64 `json:"rate"`
	// How many ask again and again instead, each once it has its answer.
	Workers int `json:"workers"`
	// How many clients there are of those that never end by themselves.
	Clients int `json:"clients"`
	// Whether each has a connection of its own.
	Fresh bool `json:"fresh"`
	// How many connections there are at most, where it matters: a request waits until one is idle.
	Connections int `json:"connections"`
	// What a GET asks for, such as `work=10`.
	Query string `json:"query"`
	// How long an upload, a stream or a WebSocket lasts, ms.
	Ms int64 `json:"ms"`
	// How much is uploaded.
	Bytes int64 `json:"bytes"`
	// Whether an upload does not tell its length.
	Chunked bool `json:"chunked"`
}

func main() {
	address := flag.String("address", "", "the proxy, such as 127.0.0.1:8080")
	plan := flag.String("plan", "", "a list of flows as JSON")
	seed := flag.Int64("seed", 1, "for when requests are due")
	seconds := flag.Float64("seconds", 0, "how long is sent, where it is not until the input ends")
	flag.Parse()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(roomyBytes)
	var flows []flow
	if err := json.Unmarshal([]byte(*plan), &flows); err != nil {
		fmt.Fprintf(os.Stderr, "the plan: %s\n", err)
		os.Exit(2)
	}

	stop := make(chan struct{})
	go func() {
		if *seconds > 0 {
			time.Sleep(time.Duration(*seconds * float64(time.Second)))
		} else {
			io.Copy(io.Discard, os.Stdin)
		}
		close(stop)
	}()
	out := &output{encoder: json.NewEncoder(os.Stdout)}
	tallies := make([]*tally, len(flows))
	var group sync.WaitGroup
	for n, f := range flows {
		tallies[n] = newTally(f, out)
		client := &client{flow: f, address: *address, tally: tallies[n], stop: stop}
		group.Add(1)
		go func() {
			defer group.Done()
			client.run(*seed + int64(n))
		}()
	}
	go func() {
		<-stop
		for _, t := range tallies {
			t.stopped()
		}
	}()
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	for tick := time.NewTicker(progressEvery); ; {
		select {
		case <-tick.C:
			out.print("progress", progressOf(tallies))
			continue
		case <-ended:
		}
		break
	}
	reports := []flowReport{}
	for _, t := range tallies {
		reports = append(reports, t.report())
	}
	out.print("done", reports)
}

// Lines from many goroutines.
type output struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (o *output) print(name string, value any) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.encoder.Encode(map[string]any{name: value})
}
