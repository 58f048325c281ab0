package e2e

import (
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A Docker Engine needs a network of its own.
func TestMain(m *testing.M) { testenv.Main(m) }
