package e2e

import (
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A Docker Engine needs a network of its own, and package managers need their
// registries.
func TestMain(m *testing.M) { testenv.MainWithOutside(m) }
