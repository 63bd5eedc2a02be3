// Package due is for senders of an open loop: it says when requests are due, and wakes the sender up in time.
package due

import (
	"math/rand"
	"runtime"
	"syscall"
	"time"
)

// Prepare makes sure that the calling goroutine, which sends, wakes up in time. What it returns ends that.
func Prepare() (end func()) {
	// One processor more than threads that want one: this thread should find one free when it wakes up.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	runtime.LockOSThread()
	// By default the kernel may wake a thread up to 50 µs late. Where it refuses, the lateness that is told is larger.
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, 1, 0)
	return runtime.UnlockOSThread
}

// Gap is the time from one request to the next, of so many in a second on average. The requests are like those of many
// people who know nothing of each other, which is a Poisson process.
func Gap(random *rand.Rand, rate float64) time.Duration {
	return time.Duration(random.ExpFloat64() / rate * float64(time.Second))
}

// SleepUntil does what time.Sleep would do up to a millisecond too late: Go waits for timers by epoll_wait, which counts
// in milliseconds.
func SleepUntil(moment time.Time) {
	for left := time.Until(moment); left > 0; left = time.Until(moment) {
		pause := syscall.NsecToTimespec(left.Nanoseconds())
		syscall.Nanosleep(&pause, nil)
	}
}
