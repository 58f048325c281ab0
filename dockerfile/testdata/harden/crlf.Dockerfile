FROM golang:1.26
RUN go mod download \
    -x
RUN go test ./...
