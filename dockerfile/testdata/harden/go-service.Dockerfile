# syntax=docker/dockerfile:1
# A service in Go, as most of them are built.

ARG GO=1.26
FROM golang:${GO}-alpine AS build
RUN apk add --no-cache git ca-certificates tzdata && update-ca-certificates
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -o /out/app ./cmd/app

# outlast: or debian:13-slim
FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/app /app
USER 65532
ENTRYPOINT ["/app"]
