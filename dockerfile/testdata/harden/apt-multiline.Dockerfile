FROM debian:13-slim
ENV DEBIAN_FRONTEND=noninteractive
RUN set -eux; \
    # tools that everybody wants
    apt-get update; \
    apt-get install -y --no-install-recommends \
        ca-certificates \
        # curl is for the health check
        curl \
    ; \
    rm -rf /var/lib/apt/lists/*
HEALTHCHECK CMD curl -f http://localhost/
