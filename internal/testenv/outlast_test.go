package testenv_test

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestOutlastIsBuiltFromTheSource(t *testing.T) {
	out, err := testenv.Run(t.Context(), nil, testenv.Outlast(t), "version")
	if err != nil || !strings.HasPrefix(out, "outlast ") {
		t.Errorf("got %q, %v, want its version", out, err)
	}
}
