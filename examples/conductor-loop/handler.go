package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

func handler(l *loop) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		handled, last, err := l.health()
		answer := struct {
			Status  string    `json:"status"`
			Handled int       `json:"handled"`
			Last    time.Time `json:"last"`
		}{"ok", handled, last}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			answer.Status = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, versionLine())
	})
	return mux
}
