package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/console"

	"github.com/outlast-build/outlast/internal/testenv"
)

// keepFolder makes the folder for what is left to look at: a report and the
// history of the builds. It has those of the last demo alone.
func (d *demo) keepFolder() error {
	tools, err := testenv.Dir()
	if err != nil {
		return err
	}
	d.keep = filepath.Join(tools, "run", "demo-kept")
	if err := os.RemoveAll(d.keep); err != nil {
		return err
	}
	return os.MkdirAll(d.keep, 0o755)
}

// reportFile is the report of the first build of outlast's.
func (d *demo) reportFile() string { return filepath.Join(d.keep, "report.html") }

// look names the report and the dashboard, which both have to show the outage.
func (d *demo) look() error {
	p := d.paper
	p.act("See it yourself")
	args := []string{"serve", "--no-gateway", "--no-check", "--listen", "127.0.0.1:0", "--format", "json"}
	cmd := exec.CommandContext(d.ctx, d.outlast.path, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // it was told to end
	}()
	var at struct{ Dashboard string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&at); err != nil {
		return fmt.Errorf("outlast serve did not say where it listens: %w", err)
	}
	report, err := os.ReadFile(d.reportFile())
	if err != nil {
		return err
	}
	if err := d.shows("the report", string(report)); err != nil {
		return err
	}
	page, err := get(at.Dashboard + "/services")
	if err != nil {
		return err
	}
	if err := d.shows("the dashboard", page); err != nil {
		return err
	}
	p.lines("report     " + d.reportFile() + "\ndashboard  " + at.Dashboard)
	p.gap()
	p.text("Both show the outage that was just lived through.")
	if _, err := console.ConsoleFromFile(os.Stdin); err == nil {
		p.text("The dashboard is there until you press Enter.")
		return d.enter()
	}
	p.text("The dashboard goes with the demo. To see it again:")
	p.gap()
	p.lines("OUTLAST_HISTORY_PATH=" + d.keep + "\\\n  bin/outlast serve --no-gateway --no-check")
	return nil
}

// shows reports, as an error, which of the services that failed are not told
// of.
func (d *demo) shows(what, text string) error {
	for _, s := range d.net.services {
		if s.script != nil && !strings.Contains(text, s.place.Host()) {
			return fmt.Errorf("%s does not say what %s did", what, s.place.Host())
		}
	}
	if !strings.Contains(text, "answers with an HTML page") {
		return errors.New(what + " does not say how the services failed")
	}
	return nil
}

func get(address string) (string, error) {
	resp, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// enter waits until somebody presses Enter, or the demo is ended.
func (d *demo) enter() error {
	pressed := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // an end is as good
		close(pressed)
	}()
	select {
	case <-pressed:
		return nil
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}
