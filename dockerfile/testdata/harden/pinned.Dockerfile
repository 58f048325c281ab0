#syntax=docker/dockerfile:1.7

ARG BASE=alpine
FROM alpine:3.22@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1 AS pinned
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS builder
COPY --from=busybox:1.37 /bin/busybox /bin/busybox
RUN --mount=type=bind,from=alpine,target=/alpine ls /alpine
FROM builder AS next
FROM $BASE
COPY --from=next / /
FROM scratch
COPY --from=pinned / /
