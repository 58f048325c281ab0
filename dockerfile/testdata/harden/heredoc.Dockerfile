FROM ubuntu:24.04
RUN <<EOF
set -e
apt-get update
apt-get install -y --no-install-recommends git
EOF
RUN <<-"END" bash -e
	if ! command -v curl; then
		apt-get install -y curl
	fi
	END
RUN <<EOF python3
print("apt-get update")
EOF
COPY <<EOF /etc/motd
apt-get update
EOF
