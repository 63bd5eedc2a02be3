package main

import (
	"cless/tests/bench/pattern"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// How long one GET may take.
const probeTimeout = 30 * time.Second

// probe sends GETs when they are due, whatever has become of those before, until it is stopped. It returns how long each
// took from when it was due, in microseconds.
func probe(address, host string, rate float64, stop <-chan struct{}) ([]int64, error) {
	client := &http.Client{
		Timeout:   probeTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}
	var (
		mutex   sync.Mutex
		micros  []int64
		failure error
		pending sync.WaitGroup
	)
	period := time.Duration(float64(time.Second) / rate)
	for due := time.Now(); ; due = due.Add(period) {
		select {
		case <-stop:
			pending.Wait()
			return micros, failure
		case <-time.After(time.Until(due)):
		}
		pending.Add(1)
		go func(due time.Time) {
			defer pending.Done()
			err := ask(client, address, host)
			took := time.Since(due).Microseconds()
			mutex.Lock()
			defer mutex.Unlock()
			micros = append(micros, took)
			if err != nil && failure == nil {
				failure = err
			}
		}(due)
	}
}

func ask(client *http.Client, address, host string) error {
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no answer to a GET: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return fmt.Errorf("a GET: status %d: %w", response.StatusCode, err)
	}
	if response.StatusCode != http.StatusOK || string(body) != pattern.Head {
		return fmt.Errorf("wrong answer to a GET: status %d, %.80q", response.StatusCode, body)
	}
	return nil
}
