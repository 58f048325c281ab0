package outlast_test

import (
	"os"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) {
	// Logins of the machine have no part in tests.
	os.Setenv("DOCKER_CONFIG", "/nowhere")
	testenv.Main(m)
}
