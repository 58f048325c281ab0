package dockerfile

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// A Secret carries a setting into the RUNs of a package manager: as a variable,
// or as a file. Its value is in no cache key and in no layer, and its name is
// the same in every build.
type Secret struct {
	ID   string
	Env  string // the variable; empty for a file
	File string // the path of the file; empty for a variable
}

// Mount is the flag that mounts the secret. The file is for every user to
// read: the step may run as anybody.
func (s Secret) Mount() string {
	if s.Env != "" {
		return fmt.Sprintf("--mount=type=secret,id=%s,env=%s", s.ID, s.Env)
	}
	return fmt.Sprintf("--mount=type=secret,id=%s,target=%s,mode=0444", s.ID, s.File)
}

// A carrier is how settings reach a package manager. Wherever a manager reads
// a file that everything else the user says wins over, that file is taken.
type carrier struct {
	judge    func(*instructions.RunCommand) string // why a RUN is left all the same, or ""; nil: never
	image    bool                                  // the secret is of the base image: see ImageSecret
	managers []string
	secrets  []Secret
	own      []string // variables by which a user says it himself
	said     []string // words of a Dockerfile that does
	wins     bool     // over what the base image sets: then that must be known
}

// The files lie below /dev, which is fresh in each step: not even an empty
// folder of theirs stays in the image.
var carriers = []carrier{
	{
		// A variable wins over ENV, and over what go env -w wrote.
		managers: strings.Fields("go"), own: strings.Fields("GOPROXY"), said: []string{"go env -w"}, wins: true,
		secrets: []Secret{{ID: "outlast-goproxy", Env: "GOPROXY"}},
	},
	{
		// apt reads it before all its other files (apt.conf, "The order").
		managers: strings.Fields("apt"), own: strings.Fields("APT_CONFIG http_proxy HTTP_PROXY"),
		secrets: []Secret{{ID: "outlast-apt", File: "/dev/outlast/apt.conf"}, {ID: "outlast-apt-config", Env: "APT_CONFIG"}},
	},
	{
		// The project's and the user's files, and all variables, win over it.
		// A login in a file or a secret is for the registry's own host alone.
		managers: strings.Fields("npm pnpm"), said: append([]string{"--location=global", "--location global", "config set -g", "--global-config"}, npmLogins...),
		own:     strings.Fields("npm_config_globalconfig NPM_CONFIG_GLOBALCONFIG npm_config_registry NPM_CONFIG_REGISTRY"),
		secrets: []Secret{{ID: "outlast-npm", File: "/dev/outlast/npmrc"}, {ID: "outlast-npm-config", Env: "npm_config_globalconfig"}},
	},
	{
		// pip loads it first, and every other file wins over it.
		managers: strings.Fields("pip"), own: strings.Fields("PIP_CONFIG_FILE PIP_INDEX_URL"),
		secrets: []Secret{{ID: "outlast-pip", File: "/dev/outlast/pip.conf"}, {ID: "outlast-pip-config", Env: "PIP_CONFIG_FILE"}},
	},
	{
		// Variables win over .yarnrc.yml. What is not yarn 2 or later passes
		// them over; yarn 1 asks the addresses in its lock file in any case.
		managers: strings.Fields("yarn"), wins: true, said: append([]string{".yarnrc", "npmRegistryServer", "npmScopes", "yarn config set"}, npmLogins...),
		own:     strings.Fields("YARN_NPM_REGISTRY_SERVER YARN_UNSAFE_HTTP_WHITELIST YARN_NPM_AUTH_TOKEN npm_config_registry NPM_CONFIG_REGISTRY"),
		secrets: []Secret{{ID: "outlast-yarn", Env: "YARN_NPM_REGISTRY_SERVER"}, {ID: "outlast-yarn-http", Env: "YARN_UNSAFE_HTTP_WHITELIST"}},
	},
	{
		// A lock file of uv's names its index: a project's would name the
		// gateway, or not be taken.
		managers: strings.Fields("uv"), wins: true, said: []string{"uv.toml", "--default-index", "--index-url"}, judge: unlocked,
		own:     strings.Fields("UV_DEFAULT_INDEX UV_INDEX_URL UV_INDEX UV_EXTRA_INDEX_URL UV_CONFIG_FILE"),
		secrets: []Secret{{ID: "outlast-uv", Env: "UV_DEFAULT_INDEX"}},
	},
	{
		// apk knows no variable, and no other file.
		managers: strings.Fields("apk"), image: true,
		said: []string{"/etc/apk", "setup-apkrepos", "--repositories-file"},
	},
}

// npmLogins are words of a Dockerfile that logs in to a registry of npm's.
var npmLogins = []string{"_authToken", "NPM_TOKEN", "NODE_AUTH_TOKEN", "npm login", "npm adduser", "/.npmrc", "id=npmrc"}

// unlocked says why a RUN with uv keeps its own settings, or nothing.
func unlocked(cmd *instructions.RunCommand) string {
	for _, c := range runCalls(cmd) {
		if name := c.name(); name == "uvx" || name != "uv" || c.verb(words("pip tool")) != "" {
			continue
		}
		return "the lock file of a project names its index"
	}
	return ""
}

// ApkRepositories is the file by which an image says where apk's packages are.
const ApkRepositories = "/etc/apk/repositories"

// ImageSecret is what stands for a file of a base image, given in full: apk's
// list of repositories. It has its own name for each image, since images differ
// in what theirs says.
func ImageSecret(image string) Secret {
	return Secret{ID: fmt.Sprintf("outlast-apk-%.4x", sha256.Sum256([]byte(image))), File: ApkRepositories}
}

// Secrets lists the secrets of all package managers, but for those of images.
func Secrets() []Secret {
	var all []Secret
	for _, c := range carriers {
		all = append(all, c.secrets...)
	}
	return all
}

// Carried lists the package managers that settings can be carried to, by their
// names in a Need.
func Carried() []string {
	var all []string
	for _, c := range carriers {
		all = append(all, c.managers...)
	}
	return all
}

func carrierOf(manager string) *carrier {
	for i, c := range carriers {
		if slices.Contains(c.managers, manager) {
			return &carriers[i]
		}
	}
	return nil
}
