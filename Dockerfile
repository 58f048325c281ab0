# The image of Outlast, which serves registries' content to the machines around it:
#
#   docker build -t outlast .
#   docker run -d -p 127.0.0.1:5100:5100 -v outlast:/var/cache/outlast outlast
#
# It is compiled on the builder's own platform for the one that is asked for, so
# that no platform needs an emulator. Dockerfile.resilient is this file, hardened:
# `outlast harden -o Dockerfile.resilient` writes it, and `outlast build` takes it
# by itself when services are ill.

# Modules that you have need no proxy: --build-context modules=FOLDER, with the
# layout of $(go env GOMODCACHE)/cache/download. Otherwise there are none.
FROM scratch AS modules

# The same of what Go has compiled before: --build-context compiled=$(go env GOCACHE).
FROM scratch AS compiled

# outlast: or mirror.gcr.io/library/golang:1.26, public.ecr.aws/docker/library/golang:1.26
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# A smaller program: --build-arg UPX=true. Where no repository has upx, the
# program stays as it is.
ARG UPX=false
RUN [ "$UPX" != true ] || { apt-get -q update && apt-get -q install -y --no-install-recommends upx-ucl; } || \
	echo "no upx: the program will not be compressed" >&2
COPY go.mod go.sum ./
# What is not given is what the image's Go says.
ARG GOPROXY
RUN --mount=from=modules,target=/modules \
	GOPROXY="file:///modules,$(go env GOPROXY)" go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION VCS_REF BUILD_DATE
RUN --mount=type=cache,target=/root/.cache/go-build,from=compiled \
	cli=github.com/outlast-build/outlast/internal/cli && \
	CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X $cli.release=$VERSION -X $cli.revision=$VCS_REF -X $cli.date=$BUILD_DATE" \
	-o /out/outlast ./cmd/outlast && mkdir /out/store
RUN if command -v upx >/dev/null; then upx -q --best /out/outlast && upx -q -t /out/outlast; fi

# outlast: or debian:13-slim, alpine:3, ubuntu:24.04
FROM gcr.io/distroless/static:nonroot
ARG VERSION=devel VCS_REF=unknown BUILD_DATE=unknown
LABEL org.opencontainers.image.title=outlast \
	org.opencontainers.image.description="Builds container images through outages" \
	org.opencontainers.image.licenses=Apache-2.0 \
	org.opencontainers.image.version=$VERSION \
	org.opencontainers.image.revision=$VCS_REF \
	org.opencontainers.image.created=$BUILD_DATE
# Not every substitute has the certificates that services are known by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/outlast /outlast
COPY --from=build --chown=65532:65532 /out/store /var/cache/outlast
# Others reach it only where its port is published.
ENV OUTLAST_GATEWAY_LISTEN=0.0.0.0:5100 \
	OUTLAST_GATEWAY_PUBLIC=true \
	OUTLAST_STORE_PATH=/var/cache/outlast \
	SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 5100
# There is no shell: the program asks its own gateway.
HEALTHCHECK --interval=30s --timeout=5s CMD ["/outlast", "gateway", "health"]
ENTRYPOINT ["/outlast"]
CMD ["gateway"]
