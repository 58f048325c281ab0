package faultnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A DNS is a name server on a port of this machine that fails by script. It
// answers over UDP and TCP. Its fields are set before Start. All methods may
// be called at once from many places.
type DNS struct {
	Listen string                  // host:port; empty means a free port of 127.0.0.1
	Names  map[string][]netip.Addr // in lower case, without a dot at the end; others do not exist
	Script DNSScript               // to begin with; Play changes it

	udp    net.PacketConn
	tcp    net.Listener
	ctx    context.Context
	cancel context.CancelFunc
	alive  sync.WaitGroup
	slots  chan struct{} // one for each answer under way

	mu    sync.Mutex
	rows  DNSScript
	seen  []int
	log   []Query
	conns map[net.Conn]bool
}

// A DNSScript says which queries meet which fault. The first row that matches
// decides; where none does, the names decide.
type DNSScript []DNSRow

// A DNSRow selects queries, and of these some occurrences. What is left empty
// selects everything.
type DNSRow struct {
	Name  string // in lower case, without a dot at the end
	Type  string // "A", "AAAA", …
	On    Occurrence
	Fault DNSFault
}

// A DNSFault is one way in which a name server fails. The zero DNSFault is
// health. They are values and compare with ==.
type DNSFault struct {
	name   string
	code   dnsmessage.RCode
	silent bool
	cut    bool
	wait   time.Duration
}

// NXDOMAIN says that the name does not exist.
func NXDOMAIN() DNSFault { return DNSFault{name: "NXDOMAIN", code: dnsmessage.RCodeNameError} }

// SERVFAIL says that the server cannot say, as resolvers do in an outage of
// theirs.
func SERVFAIL() DNSFault { return DNSFault{name: "SERVFAIL", code: dnsmessage.RCodeServerFailure} }

// DNSRefused says that the server will not say.
func DNSRefused() DNSFault { return DNSFault{name: "REFUSED", code: dnsmessage.RCodeRefused} }

// DNSSilence leaves a query without an answer.
func DNSSilence() DNSFault { return DNSFault{name: "silence", silent: true} }

// DNSTruncated answers over UDP that the answer does not fit, and over TCP
// well.
func DNSTruncated() DNSFault { return DNSFault{name: "truncated", cut: true} }

// DNSSlow answers well after d.
func DNSSlow(d time.Duration) DNSFault {
	return DNSFault{name: "slow " + d.String(), wait: max(0, d)}
}

// String names f as tables do.
func (f DNSFault) String() string {
	if f.name == "" {
		return "healthy"
	}
	return f.name
}

// Equal reports whether f and g are the same fault.
func (f DNSFault) Equal(g DNSFault) bool { return f == g }

// A Query is what a DNS was asked, and what it did about it.
type Query struct {
	At      time.Time
	Network string // "udp" or "tcp"
	Name    string // in lower case, without a dot at the end
	Type    string // "A", "AAAA", …
	Fault   DNSFault
}

// Limits of a DNS.
const (
	maxQuery  = 64 << 10 // of a message, by the protocol
	maxAsking = 256      // answers under way; more wait
	portTries = 10       // to find a number that is free for UDP and TCP alike
	tcpIdle   = 30 * time.Second
	answerTTL = 1 // second, so that a new script is soon felt
)

// Start takes the port and begins to answer. The caller closes d, unless there
// was an error.
func (d *DNS) Start() error {
	if d.udp != nil {
		return errors.New("start name server: it was started before")
	}
	addr := d.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var err error
	for range portTries {
		if err = d.take(addr); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("start name server: %w", err)
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.slots = make(chan struct{}, maxAsking)
	d.conns = make(map[net.Conn]bool)
	if d.seen == nil {
		d.Play(d.Script)
	}
	d.alive.Add(2)
	go d.serveUDP()
	go d.serveTCP()
	return nil
}

func (d *DNS) take(addr string) error {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		tcp.Close()
		return err
	}
	d.tcp, d.udp = tcp, udp
	return nil
}

// Host is the host:port that d answers on, over UDP and TCP.
func (d *DNS) Host() string { return d.tcp.Addr().String() }

// Resolver returns a resolver that asks d and nobody else. The search list and
// the hosts file of this machine still apply: ask for whole names.
func (d *DNS) Resolver() *net.Resolver {
	host := d.Host()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}}
}

// Play begins a new script. The log and the counts of rows begin anew too.
func (d *DNS) Play(script DNSScript) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = slices.Clone(script)
	d.seen = make([]int, len(script))
	d.log = nil
}

// Log returns a copy of what was asked since the script began, at most the
// first 65536 queries.
func (d *DNS) Log() []Query {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// Close gives the port up and waits until every answer has ended. Closing
// again does nothing. It returns nil.
func (d *DNS) Close() error {
	if d.udp == nil {
		return nil
	}
	d.cancel()
	d.udp.Close()
	d.tcp.Close()
	d.mu.Lock()
	for c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.alive.Wait()
	return nil
}

func (d *DNS) serveUDP() {
	defer d.alive.Done()
	buf := make([]byte, maxQuery)
	for {
		n, from, err := d.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		query := slices.Clone(buf[:n])
		if !d.slot() {
			return
		}
		d.alive.Add(1)
		go func() {
			defer d.alive.Done()
			defer func() { <-d.slots }()
			if answer := d.answer(query, "udp"); answer != nil {
				d.udp.WriteTo(answer, from)
			}
		}()
	}
}

func (d *DNS) serveTCP() {
	defer d.alive.Done()
	for {
		c, err := d.tcp.Accept()
		if err != nil {
			return
		}
		if !d.slot() {
			c.Close()
			return
		}
		d.keep(c)
		d.alive.Add(1)
		go func() {
			defer d.alive.Done()
			defer func() { <-d.slots }()
			defer d.drop(c)
			d.converse(c)
		}()
	}
}

func (d *DNS) slot() bool {
	select {
	case d.slots <- struct{}{}:
		return true
	case <-d.ctx.Done():
		return false
	}
}

func (d *DNS) keep(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c] = true
	if d.ctx.Err() != nil {
		c.Close()
	}
}

func (d *DNS) drop(c net.Conn) {
	c.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

// converse answers the queries of one connection, each of which has its length
// before it.
func (d *DNS) converse(c net.Conn) {
	for {
		c.SetDeadline(time.Now().Add(tcpIdle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := d.answer(query, "tcp")
		if answer == nil {
			continue // silence; the client ends the connection, or the deadline does
		}
		c.SetDeadline(time.Now().Add(tcpIdle))
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer returns the message to send, or nil for silence.
func (d *DNS) answer(query []byte, network string) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	question, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))
	fault := d.begin(name, strings.TrimPrefix(question.Type.String(), "Type"), network)
	if fault.silent || fault.wait > 0 && !d.pause(fault.wait) {
		return nil
	}
	reply := dnsmessage.Header{ID: header.ID, Response: true, OpCode: header.OpCode,
		RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: fault.code}
	d.mu.Lock()
	addrs, known := d.Names[name]
	d.mu.Unlock()
	switch {
	case fault.code != dnsmessage.RCodeSuccess:
		addrs = nil
	case fault.cut && network == "udp":
		reply.Truncated = true
		addrs = nil
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
	}
	message, err := build(reply, question, addrs)
	if err != nil {
		return nil
	}
	return message
}

// Add gives a name, in lower case and without a dot at the end, its addresses,
// also while the server runs.
func (d *DNS) Add(name string, addrs ...netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Names == nil {
		d.Names = make(map[string][]netip.Addr)
	}
	d.Names[name] = addrs
}

// Remove takes a name away: it does not exist from now on.
func (d *DNS) Remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.Names, name)
}

func (d *DNS) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}

func (d *DNS) begin(name, kind, network string) DNSFault {
	d.mu.Lock()
	defer d.mu.Unlock()
	fault, found := DNSFault{}, false
	for i, row := range d.rows {
		if row.Name != "" && row.Name != name || row.Type != "" && row.Type != kind {
			continue
		}
		d.seen[i]++
		if !found && row.On.has(d.seen[i]) {
			fault, found = row.Fault, true
		}
	}
	if len(d.log) < maxLog {
		d.log = append(d.log, Query{time.Now(), network, name, kind, fault})
	}
	return fault
}

func build(header dnsmessage.Header, question dnsmessage.Question, addrs []netip.Addr) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, header)
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(question); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: answerTTL}
	for _, a := range addrs {
		var err error
		switch {
		case a.Is4() && question.Type == dnsmessage.TypeA:
			err = b.AResource(resource, dnsmessage.AResource{A: a.As4()})
		case a.Is6() && question.Type == dnsmessage.TypeAAAA:
			err = b.AAAAResource(resource, dnsmessage.AAAAResource{AAAA: a.As16()})
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
