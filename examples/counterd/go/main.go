// counterd in Go: the same protocol, options and snapshots as the one in C, for comparison.
//
// Every connection is a goroutine that reads a line, asks the owner, and writes the
// answer; it flushes when it has read all that is there.  The owner alone has the
// counters; it hands copies of them to the writer of snapshots.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lineLimit = 128
	keyLimit  = 63
	leaveTime = time.Second
)

var (
	address  = flag.String("b", "127.0.0.1", "address to listen at")
	port     = flag.Int("p", 7070, "port, 0 for any that is free")
	file     = flag.String("f", "counterd.snapshot", "the snapshot")
	interval = flag.Int("i", 1000, "milliseconds between snapshots")
	clients  = flag.Int("c", 1000, "clients at a time")
	keys     = flag.Int("k", 100000, "keys")
	idle     = flag.Int("t", 60000, "milliseconds for a client to send a line or take its answer")
	grace    = flag.Int("g", 5000, "milliseconds for all clients to take their answers at the end")
)

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// ---- The owner ---------------------------------------------------------------------

type verb int

const (
	incr verb = iota
	get
	stats
)

type ask struct {
	verb verb
	key  string
	back chan answer
}

type answer struct {
	value                           uint64
	keys                            int
	increments, saved, numSnapshots uint64
	err                             error
}

type owner struct {
	counters map[string]uint64
	stats    answer
}

func (o *owner) increment(key string) answer {
	value, there := o.counters[key]
	if !there && len(o.counters) == *keys {
		return answer{err: fmt.Errorf("there are %d keys, no more are allowed", *keys)}
	}
	if value == math.MaxUint64 {
		return answer{err: errors.New("this counter is at 18446744073709551615 and cannot go on")}
	}
	o.counters[key] = value + 1
	o.stats.increments++
	return answer{value: value + 1}
}

func (o *owner) serve(a ask) {
	switch a.verb {
	case incr:
		a.back <- o.increment(a.key)
	case get:
		a.back <- answer{value: o.counters[a.key]}
	case stats:
		o.stats.keys = len(o.counters)
		a.back <- o.stats
	}
}

func (o *owner) copy() map[string]uint64 {
	c := make(map[string]uint64, len(o.counters))
	for key, value := range o.counters {
		c[key] = value
	}
	return c
}

// Until asks is closed; then with a last snapshot, whose error it returns.
func (o *owner) run(asks <-chan ask) error {
	snapshots, written := make(chan map[string]uint64, 1), make(chan error, 1)
	go func() {
		for counters := range snapshots {
			written <- writeSnapshot(*file, counters)
		}
	}()
	defer close(snapshots)
	writing, inCopy := false, uint64(0)
	begin := func() {
		if !writing && o.stats.saved != o.stats.increments {
			writing, inCopy = true, o.stats.increments
			snapshots <- o.copy()
		}
	}
	end := func(err error) {
		writing = false
		if err != nil {
			fmt.Fprintf(os.Stderr, "counterd: %v\n", err)
			return
		}
		o.stats.saved = inCopy
		o.stats.numSnapshots++
	}
	tick := time.NewTicker(milliseconds(*interval))
	defer tick.Stop()
	for {
		select {
		case a, open := <-asks:
			if open {
				o.serve(a)
				continue
			}
			if writing {
				end(<-written)
			}
			if begin(); writing {
				err := <-written
				end(err)
				return err
			}
			return nil
		case <-tick.C:
			begin()
		case err := <-written:
			end(err)
		}
	}
}

// ---- Snapshots -----------------------------------------------------------------------

func writeSnapshot(path string, counters map[string]uint64) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	hash := fnv.New64a()
	out := bufio.NewWriter(f)
	both := io.MultiWriter(out, hash)
	fmt.Fprint(both, "counterd 1\n")
	for key, value := range counters {
		fmt.Fprintf(both, "%d %s\n", value, key)
	}
	fmt.Fprintf(out, "end %d %016x\n", len(counters), hash.Sum64())
	if err = out.Flush(); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		os.Remove(path + ".tmp")
		return err
	}
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

func readSnapshot(path string) (map[string]uint64, error) {
	counters := make(map[string]uint64)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "counterd: %v, all counters begin at 0\n", err)
		return counters, nil
	}
	if err != nil {
		return nil, err
	}
	malformed := func(number int) error { return fmt.Errorf("%s:%d: not a snapshot of counterd", path, number) }
	lines := bytes.SplitAfter(text, []byte("\n"))
	hash := fnv.New64a()
	for i, line := range lines {
		if bytes.HasPrefix(line, []byte("end ")) {
			if string(line) != fmt.Sprintf("end %d %016x\n", len(counters), hash.Sum64()) || len(lines) != i+2 || len(lines[i+1]) != 0 {
				return nil, malformed(i + 1)
			}
			return counters, nil
		}
		hash.Write(line)
		if i == 0 {
			if string(line) != "counterd 1\n" {
				return nil, malformed(1)
			}
			continue
		}
		value, key, found := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		number, err := strconv.ParseUint(value, 10, 64)
		if _, twice := counters[key]; !found || err != nil || !validKey(key) || twice || len(counters) == *keys {
			return nil, malformed(i + 1)
		}
		counters[key] = number
	}
	return nil, malformed(len(lines))
}

// ---- Connections ---------------------------------------------------------------------

type server struct {
	asks      chan ask
	connected atomic.Int64
	lock      sync.Mutex
	open      map[*net.TCPConn]bool // to be told of the end
	ending    bool
}

func validKey(key string) bool {
	for i := 0; i < len(key); i++ {
		if key[i] < '!' || key[i] > '~' {
			return false
		}
	}
	return len(key) > 0 && len(key) <= keyLimit
}

// The answer to a line, and whether it is the last one.
func (s *server) answer(line string, back chan answer) (string, bool) {
	if strings.IndexByte(line, 0) >= 0 {
		return "ERROR zero byte in a line\n", true
	}
	if line == "QUIT" {
		return "OK bye\n", true
	}
	if line == "STATS" {
		s.asks <- ask{verb: stats, back: back}
		a := <-back
		return fmt.Sprintf("OK clients=%d keys=%d increments=%d saved=%d snapshots=%d\n",
			s.connected.Load(), a.keys, a.increments, a.saved, a.numSnapshots), false
	}
	word, key, _ := strings.Cut(line, " ")
	if word != "INCR" && word != "GET" {
		return "ERROR unknown command, there are INCR key, GET key, STATS and QUIT\n", true
	}
	if !validKey(key) {
		return "ERROR a key has 1 to 63 printable characters and no space\n", false
	}
	a := ask{verb: incr, key: key, back: back}
	if word == "GET" {
		a.verb = get
	}
	s.asks <- a
	is := <-back
	if is.err != nil {
		return "ERROR " + is.err.Error() + "\n", false
	}
	return "OK " + strconv.FormatUint(is.value, 10) + "\n", false
}

// So that bytes that were not read do not reset the connection before the answers are there.
func leave(c *net.TCPConn) {
	c.CloseWrite()
	c.SetReadDeadline(time.Now().Add(leaveTime))
	io.Copy(io.Discard, c)
	c.Close()
}

// What to answer when no whole line could be read, if anything.
func (s *server) unread(line []byte, err error) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "ERROR line longer than 128 bytes\n"
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "ERROR the last line has no end\n"
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.ending:
		return fmt.Sprintf("ERROR no line within %d milliseconds\n", *idle)
	}
	return ""
}

// Not after the end has begun, which has set its own.
func (s *server) setReadDeadline(c *net.TCPConn) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.ending {
		c.SetReadDeadline(time.Now().Add(milliseconds(*idle)))
	}
}

// How many bytes of a whole line are in the buffer, or -1.
func lineLength(in *bufio.Reader) int {
	buffered, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(buffered, '\n')
}

// A line without its end; what there is of it, and why there is no more.
func readLine(in *bufio.Reader) ([]byte, error) {
	for {
		buffered, _ := in.Peek(in.Buffered())
		if n := lineLength(in); n >= 0 {
			in.Discard(n + 1)
			buffered = bytes.TrimSuffix(buffered[:n], []byte("\r"))
			if len(buffered) > lineLimit {
				return nil, bufio.ErrBufferFull
			}
			return buffered, nil
		}
		if len(buffered) > lineLimit+1 {
			return nil, bufio.ErrBufferFull
		}
		if _, err := in.Peek(len(buffered) + 1); err != nil {
			return buffered, err
		}
	}
}

func (s *server) serve(c *net.TCPConn) {
	in, out := bufio.NewReaderSize(c, 4096), bufio.NewWriter(c)
	back := make(chan answer, 1)
	for last := false; !last; {
		if lineLength(in) < 0 {
			s.setReadDeadline(c)
		}
		line, err := readLine(in)
		var text string
		if err != nil {
			text, last = s.unread(line, err), true
		} else {
			text, last = s.answer(string(line), back)
		}
		c.SetWriteDeadline(time.Now().Add(milliseconds(*idle)))
		out.WriteString(text)
		if last || lineLength(in) < 0 {
			if out.Flush() != nil {
				break
			}
		}
	}
	s.connected.Add(-1)
	leave(c)
}

func (s *server) accept(listener *net.TCPListener, all *sync.WaitGroup) {
	for {
		c, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if s.connected.Load() >= int64(*clients) {
			fmt.Fprintf(c, "ERROR too many clients, %d are allowed\n", *clients)
			go leave(c)
			continue
		}
		s.connected.Add(1)
		all.Add(1)
		s.lock.Lock()
		s.open[c] = true
		s.lock.Unlock()
		go func() {
			s.serve(c)
			s.lock.Lock()
			delete(s.open, c)
			s.lock.Unlock()
			all.Done()
		}()
	}
}

// Nobody reads any more; what was read is answered.  A second signal, or the deadline, ends it.
func (s *server) end(all *sync.WaitGroup, again <-chan os.Signal) {
	s.lock.Lock()
	s.ending = true
	for c := range s.open {
		c.SetReadDeadline(time.Now())
	}
	s.lock.Unlock()
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-again:
	case <-time.After(milliseconds(*grace)):
	}
	s.lock.Lock()
	for c := range s.open {
		c.Close()
	}
	s.lock.Unlock()
	<-done
}

func run() error {
	counters, err := readSnapshot(*file)
	if err != nil {
		return err
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.ParseIP(*address), Port: *port})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	s := server{asks: make(chan ask), open: make(map[*net.TCPConn]bool)}
	o := owner{counters: counters}
	ended := make(chan error)
	go func() { ended <- o.run(s.asks) }()
	var all sync.WaitGroup
	accepting := make(chan struct{})
	go func() { s.accept(listener, &all); close(accepting) }()
	fmt.Printf("counterd: listening on %v\n", listener.Addr())

	<-signals
	listener.Close()
	<-accepting
	s.end(&all, signals)
	close(s.asks)
	return <-ended
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "counterd: %v\n", err)
		os.Exit(1)
	}
}
