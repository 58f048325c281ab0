package buildx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
)

// localEngine is where the docker client looks for an engine when nothing
// tells it another place.
const localEngine = "unix:///var/run/docker.sock"

// dockerHost returns the address of the Docker Engine that a builder's endpoint
// stands for. The endpoint is an address, or the name of a docker context,
// whose file says it; "" where it cannot be told.
func dockerHost(env []string, endpoint string) string {
	if scheme.MatchString(endpoint) {
		return endpoint
	}
	if endpoint == "" || endpoint == "default" {
		if host := getenv(env, "DOCKER_HOST"); host != "" {
			return host
		}
		return localEngine
	}
	sum := sha256.Sum256([]byte(endpoint))
	file := filepath.Join(dockerConfig(env), "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json")
	data, err := readBounded(file, 1<<20)
	if err != nil {
		return ""
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if json.Unmarshal(data, &meta) != nil {
		return ""
	}
	return meta.Endpoints["docker"].Host
}

func dockerConfig(env []string) string {
	if dir := getenv(env, "DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return filepath.Join(getenv(env, "HOME"), ".docker")
}
