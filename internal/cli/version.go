package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A version tells which program this is.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	BuildKit string `json:"buildkit,omitempty"` // whose types and display are in use
}

// What the linker may set, where neither git nor a module proxy told the Go
// command: the Dockerfile does.
var release, revision, date string

// readVersion reads what the linker and the Go command wrote into the program.
func readVersion() version {
	v := version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/moby/buildkit" {
			v.BuildKit = d.Version
		}
	}
	v.Version = cmp.Or(release, v.Version)
	v.Revision = cmp.Or(revision, v.Revision)
	v.Time = cmp.Or(date, v.Time)
	return v
}

func (a *app) versionCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  outlast version\n  outlast version --format json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			if format == "json" {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintf(a.stdout, "outlast %s %s %s\n", v.Version, v.Platform, v.Go)
			return err
		},
	}
	formatFlag(c, &format, "text", "json")
	return c
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
