// Sends requests over some connections for some time, lets each finish, and looks at every byte of every answer.
// It prints one line of JSON, or ends with an error at the first answer that is wrong. A herd is one request over each
// of the connections, all at once, and what goes wrong is counted.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What is printed.
type report struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	P99Ms    float64 `json:"p99Ms"`
}

func main() {
	var load load
	flag.StringVar(&load.address, "address", "", "the proxy, such as 127.0.0.1:8080")
	flag.StringVar(&load.host, "host", "", "what Host says")
	flag.Int64Var(&load.download, "download", 0, "how many bytes to ask for")
	flag.Int64Var(&load.upload, "upload", 0, "how many bytes to send instead, by POST")
	flag.BoolVar(&load.once, "once", false, "a new connection for each request")
	connections := flag.Int("connections", 1, "how many at once")
	seconds := flag.Float64("seconds", 0, "how long new requests are begun")
	requests := flag.Int64("requests", 0, "how many requests instead")
	asHerd := flag.Bool("herd", false, "one request over each connection instead, all at once")
	flag.Parse()
	load.prepare()
	var (
		made any
		err  error
	)
	if *asHerd {
		made = herd(&load, *connections)
	} else {
		made, err = run(&load, *connections, time.Duration(*seconds*float64(time.Second)), *requests)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(made)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

func run(load *load, connections int, period time.Duration, requests int64) (report, error) {
	var (
		begun  atomic.Int64
		failed atomic.Pointer[error]
		mutex  sync.Mutex
		took   []time.Duration
		group  sync.WaitGroup
	)
	began := time.Now()
	more := func() bool {
		if failed.Load() != nil {
			return false
		}
		if requests > 0 {
			return begun.Add(1) <= requests
		}
		return time.Since(began) < period
	}
	for n := 0; n < connections; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			connection := connection{load: load, buffer: make([]byte, bufferBytes)}
			defer connection.close()
			var own []time.Duration
			for more() {
				start := time.Now()
				if err := connection.exchange(); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				own = append(own, time.Since(start))
			}
			mutex.Lock()
			defer mutex.Unlock()
			took = append(took, own...)
		}()
	}
	group.Wait()
	seconds := time.Since(began).Seconds()
	if err := failed.Load(); err != nil {
		return report{}, *err
	}
	if len(took) == 0 {
		return report{}, fmt.Errorf("no request was sent")
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	p99 := took[(len(took)*99+99)/100-1]
	return report{len(took), seconds, float64(p99.Microseconds()) / 1000}, nil
}
