FROM alpine:3.22
RUN apk update && cat packages | xargs apk add && echo curl | apk add
RUN version=$(npm install semver | tail -1); echo "$version"
RUN apk add jq > /log && { apk add curl; } | tee /log
RUN sh -c 'apk add bash' && chroot /mnt apk add git
RUN apk add git || true; if apk add make; then :; else exit 3; fi
