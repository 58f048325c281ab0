package actcache

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Key signs tokens and addresses. It is a secret: who has it may read and
// write everything.
type Key [32]byte

// NewKey returns a key that nobody else has.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// header is the first part of a token of ours: JWS with HMAC and SHA-256 (RFC
// 7515), which is what go-actions-cache can read.
var header = encode([]byte(`{"alg":"HS256","typ":"JWT"}`))

// claims are what a token says, of GitHub's and of ours.
type claims struct {
	Scopes     string  `json:"ac"`
	Repository string  `json:"repository_id,omitempty"`
	Issuer     string  `json:"iss,omitempty"`
	Expires    float64 `json:"exp"`
	From       float64 `json:"nbf"`
}

// Token returns a token for g that holds from now on.
func (k Key) Token(g Grant, now time.Time) (string, error) {
	if err := g.check(); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	scopes, err := json.Marshal(g.Scopes)
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	body, err := json.Marshal(claims{Scopes: string(scopes), Repository: g.Repository, Issuer: "outlast",
		Expires: float64(g.Expires.Unix()), From: float64(now.Add(-time.Minute).Unix())})
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	signed := header + "." + encode(body)
	return signed + "." + encode(k.sum(signed)), nil
}

// grant reads a token of ours, proves it, and returns what it allows.
func (k Key) grant(token string, now time.Time) (Grant, error) {
	signed, sum, ok := cutLast(token)
	if !ok || len(token) > maxToken {
		return Grant{}, errors.New("no token")
	}
	if head, _, _ := strings.Cut(signed, "."); head != header {
		return Grant{}, errors.New("a token of somebody else's")
	}
	if got, err := decode(sum); err != nil || !hmac.Equal(got, k.sum(signed)) {
		return Grant{}, errors.New("the token is not signed with this service's key")
	}
	return readClaims(signed, now)
}

// ReadToken returns what a token says that it allows, without any proof: it is
// for the token of a job that the job itself has handed over.
func ReadToken(token string, now time.Time) (Grant, error) {
	signed, _, ok := cutLast(token)
	if !ok || len(token) > maxToken {
		return Grant{}, errors.New("read token: no JSON Web Token")
	}
	g, err := readClaims(signed, now)
	if err != nil {
		return Grant{}, fmt.Errorf("read token: %w", err)
	}
	return g, nil
}

// readClaims reads the second part of a token.
func readClaims(signed string, now time.Time) (Grant, error) {
	_, body, _ := strings.Cut(signed, ".")
	data, err := decode(body)
	if err != nil {
		return Grant{}, errors.New("no claims")
	}
	var c claims
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&c); err != nil {
		return Grant{}, errors.New("no claims")
	}
	if c.Expires <= float64(now.Unix()) {
		return Grant{}, errors.New("the token has expired")
	}
	if c.From > float64(now.Unix()) {
		return Grant{}, errors.New("the token does not hold yet")
	}
	scopes, err := readScopes(c.Scopes)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Repository: c.Repository, Scopes: scopes, Expires: time.Unix(int64(min(c.Expires, 1<<40)), 0)}
	return g, g.check()
}

func (k Key) sum(text string) []byte {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte(text))
	return h.Sum(nil)
}

func cutLast(token string) (before, after string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || strings.Count(token, ".") != 2 {
		return "", "", false
	}
	return token[:i], token[i+1:], true
}

func encode(b []byte) string          { return base64.RawURLEncoding.EncodeToString(b) }
func decode(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }
