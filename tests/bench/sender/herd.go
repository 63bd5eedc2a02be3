package main

import (
	"strings"
	"sync"
	"time"
)

// A herd's connections are many, and what they ask for is short.
const herdBufferBytes = 4 << 10

// What is printed of a herd; times are from the beginning, and failures are told, not fatal.
type herdReport struct {
	Answers  int     `json:"answers"`
	Failures int     `json:"failures"`
	Failure  string  `json:"failure"`
	FirstMs  float64 `json:"firstMs"`
	LastMs   float64 `json:"lastMs"`
}

// herd sends so many requests at once, each over a connection of its own.
func herd(load *load, size int) herdReport {
	var (
		mutex sync.Mutex
		made  herdReport
		group sync.WaitGroup
		start = make(chan struct{})
		began time.Time
	)
	for n := 0; n < size; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			connection := connection{load: load, buffer: make([]byte, herdBufferBytes)}
			defer connection.close()
			<-start
			err := connection.exchange()
			ms := float64(time.Since(began).Microseconds()) / 1000
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				made.Failures++
				made.Failure = strings.ReplaceAll(err.Error(), "\n", " ")
				return
			}
			if made.Answers == 0 {
				made.FirstMs = ms
			}
			made.Answers++
			made.FirstMs, made.LastMs = min(made.FirstMs, ms), max(made.LastMs, ms)
		}()
	}
	began = time.Now()
	close(start)
	group.Wait()
	return made
}
