package config_test

import (
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/config"
)

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "12h": 12 * time.Hour, "30d": 30 * 24 * time.Hour, "2w": 14 * 24 * time.Hour,
		"": 0, "d": 0, "0d": 0, "-3d": 0, "1.5d": 0, "65536d": 0, "30": 0, "30 days": 0, "99999h": 99999 * time.Hour, "60000d": 0,
	} {
		got, err := config.ParseAge(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}
