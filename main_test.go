package outlast_test

import (
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
