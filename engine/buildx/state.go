package buildx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
)

// StateDir returns the folder for what Outlast keeps of engines between
// builds: outlast/engine in XDG_STATE_HOME, else in ~/.local/state.
func StateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "outlast", "engine"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no folder to keep an engine in: neither XDG_STATE_HOME nor HOME is set")
	}
	return filepath.Join(home, ".local", "state", "outlast", "engine"), nil
}

func stateDir(dir string) (string, error) {
	if dir == "" {
		return StateDir()
	}
	return filepath.Abs(dir)
}

// instanceName is the name under which buildx knows an address: the same one
// for the same address, so that nothing in an instance ever has to change.
func instanceName(address string) string {
	return "outlast-" + shortHash(address)
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:5])
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
