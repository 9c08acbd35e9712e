// peer.go - the workloads on Go's channels; see bench.h for the command line and what is printed
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type run struct {
	name           string
	n              uint64
	threads, cases int
}

func orElse(asked, usual int) int {
	if asked != 0 {
		return asked
	}
	return usual
}

func report(name string, value float64) {
	fmt.Printf("%s %.4g\n", name, value)
}

func (r run) reportEach(elapsed time.Duration, n uint64) {
	report(r.name, float64(elapsed.Nanoseconds())/float64(n))
}

func (r run) checkSum(sum, n uint64) {
	expected := (n + 1) / 2 * n
	if n%2 == 0 {
		expected = n / 2 * (n + 1)
	}
	if sum != expected {
		fmt.Printf("%s WRONG: the sum is %d, not %d\n", r.name, sum, expected)
		os.Exit(1)
	}
}

// ---- Producers and consumers

func work(x uint64) uint64 {
	for i := 0; i < 700; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

var worked uint64

func produce(c chan<- uint64, first, n uint64) {
	for i := uint64(0); i < n; i++ {
		c <- first + i
	}
}

func consume(c <-chan uint64, n uint64) (sum uint64) {
	for i := uint64(0); i < n; i++ {
		sum += <-c
	}
	return
}

func produceWorking(c chan<- uint64, first, n uint64) {
	x := uint64(1)
	for i := uint64(0); i < n; i++ {
		x = work(x)
		c <- first + i
	}
	atomic.AddUint64(&worked, x)
}

func consumeWorking(c <-chan uint64, n uint64) (sum uint64) {
	x := uint64(1)
	for i := uint64(0); i < n; i++ {
		sum += <-c
		x = work(x)
	}
	atomic.AddUint64(&worked, x)
	return
}

func (r run) flow(capacity, producers, consumers int, producer func(chan<- uint64, uint64, uint64),
	consumer func(<-chan uint64, uint64) uint64) {
	p, q := uint64(producers), uint64(consumers)
	n := (r.n/(p*q) + 1) * p * q
	var sum uint64
	var all sync.WaitGroup
	all.Add(producers + consumers)
	c := make(chan uint64, capacity)

	start := time.Now()
	for i := uint64(0); i < p; i++ {
		i := i
		go func() {
			producer(c, i*(n/p)+1, n/p)
			all.Done()
		}()
	}
	for i := uint64(0); i < q; i++ {
		go func() {
			atomic.AddUint64(&sum, consumer(c, n/q))
			all.Done()
		}()
	}
	all.Wait()
	elapsed := time.Since(start)
	r.checkSum(sum, n)
	r.reportEach(elapsed, n)
}

func between(capacity, producers, consumers int) func(run) {
	return func(r run) {
		some := func(usual int) int {
			if usual == 1 {
				return 1
			}
			return orElse(r.threads, usual)
		}
		r.flow(capacity, some(producers), some(consumers), produce, consume)
	}
}

// ---- One thread

func (r run) sendAndReceive() {
	c := make(chan uint64, 1024)
	var sum uint64
	start := time.Now()
	for i := uint64(1); i <= r.n; i++ {
		c <- i
		sum += <-c
	}
	elapsed := time.Since(start)
	r.checkSum(sum, r.n)
	r.reportEach(elapsed, r.n)
}

func oneThread(r run) {
	other := make(chan uint64, 1)
	go func() { <-other }()
	r.sendAndReceive()
	other <- 1
}

func parked(r run) {
	quit := make(chan uint64)
	var ready, all sync.WaitGroup
	ready.Add(r.threads)
	all.Add(r.threads)
	for i := 0; i < r.threads; i++ {
		go func() {
			other := make(chan uint64)
			ready.Done()
			select {
			case <-quit:
			case <-other:
			}
			all.Done()
		}()
	}
	ready.Wait()
	time.Sleep(300 * time.Millisecond)
	r.sendAndReceive()
	close(quit)
	all.Wait()
}

// ---- To and fro

func passOn(in <-chan uint64, out chan<- uint64, n uint64) {
	for i := uint64(0); i < n; i++ {
		out <- <-in
	}
}

func pingPong(r run) {
	there, back := make(chan uint64), make(chan uint64)
	var sum uint64
	start := time.Now()
	go passOn(there, back, r.n)
	for i := uint64(1); i <= r.n; i++ {
		there <- i
		sum += <-back
	}
	elapsed := time.Since(start)
	r.checkSum(sum, r.n)
	r.reportEach(elapsed, r.n)
}

// ---- How long each hand-over takes; at most two seconds of them

const longestTail = 2 * time.Second

var started = time.Now()

// For n times, whose pages were touched already.
func pages(n uint64) []uint64 {
	took := make([]uint64, n)
	for i := range took {
		took[i] = 1
	}
	return took
}

func (r run) reportTail(elapsed time.Duration, took []uint64) {
	r.reportEach(elapsed, r.n)
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	for _, percent := range []float64{50, 99, 99.9} {
		report(fmt.Sprintf("%s-%g", r.name, percent), float64(took[uint64(percent/100*float64(r.n-1))]))
	}
}

func oneToOneTail(r run) {
	c := make(chan uint64)
	took := pages(r.n)
	var sent, sum uint64
	most := r.n
	var all sync.WaitGroup
	all.Add(1)
	start := time.Now()
	go func() {
		for i := uint64(0); i < most && time.Since(start) < longestTail; i++ {
			now := uint64(time.Since(started))
			sent += now
			c <- now
		}
		close(c)
		all.Done()
	}()
	r.n = 0
	for sent := range c {
		took[r.n] = uint64(time.Since(started)) - sent
		sum += sent
		r.n++
	}
	all.Wait()
	elapsed := time.Since(start)
	if sum != sent {
		fmt.Printf("%s WRONG: the times sent are not those received\n", r.name)
		os.Exit(1)
	}
	r.reportTail(elapsed, took[:r.n])
}

func pingPongTail(r run) {
	there, back := make(chan uint64), make(chan uint64)
	took := pages(r.n)
	var sum uint64
	start := time.Now()
	go func() {
		for i := range there {
			back <- i
		}
	}()
	n := uint64(0)
	for last := time.Since(start); n < r.n && last < longestTail; n++ {
		there <- n + 1
		sum += <-back
		now := time.Since(start)
		took[n] = uint64(now - last)
		last = now
	}
	close(there)
	elapsed := time.Since(start)
	r.n = n
	r.checkSum(sum, n)
	r.reportTail(elapsed, took[:n])
}

// ---- Round a ring

const ring = 503

func tokenRing(r run) {
	var channels [ring]chan uint64
	rounds := r.n/ring + 1
	for i := range channels {
		channels[i] = make(chan uint64)
		if i > 0 {
			go passOn(channels[i-1], channels[i], rounds+1)
		}
	}
	var sum uint64
	var start time.Time
	for i := uint64(0); i <= rounds; i++ {
		channels[0] <- i + 1
		sum += <-channels[ring-1]
		if i == 0 {
			start = time.Now()
		}
	}
	elapsed := time.Since(start)
	r.checkSum(sum, rounds+1)
	r.reportEach(elapsed, rounds*ring)
}

// ---- The sieve

const (
	sievedPrimes    = 500
	lastSievedPrime = 3571
	end             = ^uint64(0)
)

func sieve(r run) {
	var all sync.WaitGroup
	primes := 0
	start := time.Now()
	in := make(chan uint64)
	all.Add(1)
	go func(out chan<- uint64) {
		for i := uint64(2); i <= lastSievedPrime; i++ {
			out <- i
		}
		out <- end
		all.Done()
	}(in)
	for {
		prime := <-in
		if prime == end {
			break
		}
		primes++
		out := make(chan uint64)
		all.Add(1)
		go func(in <-chan uint64, out chan<- uint64) {
			for i := uint64(0); i != end; {
				i = <-in
				if i == end || i%prime != 0 {
					out <- i
				}
			}
			all.Done()
		}(in, out)
		in = out
	}
	all.Wait()
	elapsed := time.Since(start)
	if primes != sievedPrimes {
		fmt.Printf("%s WRONG: %d primes\n", r.name, primes)
		os.Exit(1)
	}
	report(r.name, float64(elapsed.Nanoseconds())/1e6)
}

// ---- Select: receivers[n] is a select over n channels, written by select_cases.py

func selectOne(capacity int) func(run) {
	return func(r run) {
		producers, cases := orElse(r.threads, 4), orElse(r.cases, 8)
		receive, known := receivers[cases]
		if !known {
			fmt.Fprintf(os.Stderr, "no select over %d channels\n", cases)
			os.Exit(2)
		}
		share := r.n/uint64(producers) + 1
		n := share * uint64(producers)
		channels := make([]chan uint64, cases)
		for i := range channels {
			channels[i] = make(chan uint64, capacity)
		}
		start := time.Now()
		for p := 0; p < producers; p++ {
			go func(p int) {
				at := p % cases
				for i := uint64(0); i < share; i++ {
					channels[at] <- uint64(p)*share + 1 + i
					at = (at + producers) % cases
				}
			}(p)
		}
		sum := receive(channels, n)
		elapsed := time.Since(start)
		r.checkSum(sum, n)
		r.reportEach(elapsed, n)
	}
}

// ---- Tasks

func startTasks(r run) {
	var sum uint64
	var all sync.WaitGroup
	start := time.Now()
	for i := uint64(1); i <= r.n; i++ {
		all.Add(1)
		go func(i uint64) {
			atomic.AddUint64(&sum, i)
			all.Done()
		}(i)
	}
	all.Wait()
	elapsed := time.Since(start)
	r.checkSum(sum, r.n)
	r.reportEach(elapsed, r.n)
}

func residentKilobytes() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return float64(pages*os.Getpagesize()) / 1024
}

func blockTasks(r run) {
	var sum uint64
	var ready, all sync.WaitGroup
	gate := make(chan uint64)
	before := residentKilobytes()
	start := time.Now()
	ready.Add(int(r.n))
	all.Add(int(r.n))
	for i := uint64(1); i <= r.n; i++ {
		go func(i uint64) {
			ready.Done()
			<-gate
			atomic.AddUint64(&sum, i)
			all.Done()
		}(i)
	}
	ready.Wait()
	created := time.Since(start)
	after := residentKilobytes()
	waking := time.Now()
	close(gate)
	all.Wait()
	woken := time.Since(waking)
	r.checkSum(sum, r.n)
	n := float64(r.n)
	report("W9", float64(created.Nanoseconds())/n)
	report("W9-wake", float64(woken.Nanoseconds())/n)
	report("W9-memory", (after-before)/n)
}

func main() {
	workloads := []struct {
		name    string
		n       uint64
		measure func(run)
	}{
		{"W1", 3000000, oneThread},
		{"W2", 3000000, between(1024, 1, 1)},
		{"W2b", 1000000, between(16, 1, 1)},
		{"W2c", 300000, between(1, 1, 1)},
		{"W3", 300000, between(0, 1, 1)},
		{"W3-tail", 300000, oneToOneTail},
		{"W4", 100000, pingPong},
		{"W4-tail", 100000, pingPongTail},
		{"W5", 2000000, between(1024, 4, 1)},
		{"W5b", 100000, between(0, 4, 1)},
		{"W6", 2000000, between(1024, 4, 4)},
		{"W6b", 100000, between(0, 4, 4)},
		{"W7", 100000, selectOne(0)},
		{"W7b", 500000, selectOne(64)},
		{"W8", 100000, startTasks},
		{"W9", 10000, blockTasks},
		{"W10", 50000, tokenRing},
		{"W11", 1, sieve},
		{"W13", 200000, func(r run) { r.flow(1024, 1, 1, produceWorking, consumeWorking) }},
		{"PARKED", 1000000, parked},
	}
	number := func(i int, usual uint64) uint64 {
		if i >= len(os.Args) {
			return usual
		}
		n, err := strconv.ParseUint(os.Args[i], 10, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return n
	}
	for _, w := range workloads {
		if len(os.Args) < 2 {
			fmt.Println(w.name, w.n)
		} else if os.Args[1] == w.name {
			w.measure(run{w.name, number(2, w.n), int(number(3, 0)), int(number(4, 0))})
			return
		}
	}
	if len(os.Args) >= 2 {
		fmt.Fprintf(os.Stderr, "no workload %s here\n", os.Args[1])
		os.Exit(2)
	}
}
