#!/bin/sh
# Builds the image of one service with `outlast build`, whatever is down.
# Everything that needs judgement is Outlast's: this names things.
set -eu

usage() {
	cat <<'USAGE'
Build the image of a service, whatever is down.

Usage:
  smart-docker-build.sh [SERVICE [IMAGE [VERSION [PLATFORMS [PUSH]]]]]

  SERVICE    what to build (default conductor-loop): a folder of the repository
             or of its examples/ with a Dockerfile, or a program in its cmd/
             that the Dockerfile at the root builds
  IMAGE      the name of the image, without a tag (default SERVICE)
  VERSION    its tag (default latest)
  PLATFORMS  such as linux/amd64,linux/arm64 (default: the builder's own)
  PUSH       true or false (default false: loaded into Docker, where that runs
             and one platform is built)

The Dockerfile gets SERVICE, VERSION, BUILD_DATE and VCS_REF as build arguments.

Environment:
  CONTEXT       the folder to build, in place of what SERVICE leads to
  BUILD_DATE    default: the time of the commit, so that an unchanged source
                keeps its cached steps; now, where there is no commit
  VCS_REF       default: the commit, and "-dirty" where files have changed
  Everything else reaches outlast build: CACHE_STRATEGY, HEALTH_CHECK_TIMEOUT,
  BUILD_TIMEOUT_OPTIMAL, DEBUG=1 and so on; see docs/RESILIENT-BUILD-SYSTEM.md.

Examples:
  scripts/smart-docker-build.sh conductor-loop test latest "" false
  CACHE_STRATEGY=local-only scripts/smart-docker-build.sh conductor-loop test
  scripts/smart-docker-build.sh conductor-loop ghcr.io/acme/loop 1.2.3 linux/amd64,linux/arm64 true

The exit codes are those of outlast build; 2 is wrong usage.
USAGE
}

# fail WHAT HINT
fail() {
	printf 'smart-docker-build: error: %s\n' "$1" >&2
	printf 'smart-docker-build: hint: %s\n' "$2" >&2
	exit 2
}

# only CHARACTERS NAME VALUE: the value is not empty and has no other ones.
only() {
	case $3 in
	'' | *[!$1]*) fail "$2 is \"$3\"" "it may have the characters $1 only" ;;
	esac
}

case ${1:-} in
-h | --help)
	usage
	exit
	;;
-*) fail "unknown option $1" 'there are arguments only: see --help' ;;
esac
[ $# -le 5 ] || fail "$# arguments" 'at most five: SERVICE IMAGE VERSION PLATFORMS PUSH'

service=${1:-conductor-loop}
image=${2:-$service}
version=${3:-latest}
platforms=${4:-}
push=${5:-false}

only 'A-Za-z0-9._/-' SERVICE "$service"
case /$service/ in
*/../* | *//*) fail "SERVICE is \"$service\"" 'it is a name below the root of the repository' ;;
esac
case ${image##*/} in
*:* | *@*) fail "IMAGE is \"$image\"" 'leave the tag out: VERSION is the tag' ;;
esac
only 'a-z0-9._/:-' IMAGE "$image"
only 'A-Za-z0-9._-' VERSION "$version"
[ -z "$platforms" ] || only 'a-z0-9./,-' PLATFORMS "$platforms"
case $platforms in
'' | */*) ;;
*) fail "PLATFORMS is \"$platforms\"" 'name them as OS/ARCHITECTURE, with commas between' ;;
esac
case $push in
true | false) ;;
*) fail "PUSH is \"$push\"" 'it is true or false' ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

# context prints the folder to build.
context() {
	for dir in "$root/$service" "$root/examples/$service"; do
		if [ -f "$dir/Dockerfile" ]; then
			printf '%s\n' "$dir"
			return
		fi
	done
	[ -d "$root/cmd/$service" ] && [ -f "$root/Dockerfile" ] && printf '%s\n' "$root"
}
context=${CONTEXT:-$(context)} ||
	fail "no service \"$service\": $root has no $service/Dockerfile, examples/$service/Dockerfile or cmd/$service" 'name one that is there, or the folder to build with CONTEXT=DIR'

if ! outlast=$(command -v outlast); then
	outlast=$root/bin/outlast
	[ -x "$outlast" ] ||
		fail 'outlast is neither on PATH nor in bin' "run \"make -C $root build\", or go install github.com/outlast-build/outlast/cmd/outlast@latest"
fi

# git_says ARGUMENTS: what git knows of the folder to build, if anything.
git_says() { git -C "$context" "$@" 2>/dev/null; }
ref=${VCS_REF:-$(git_says describe --always --dirty --abbrev=12 --exclude='*' || echo unknown)}
date=${BUILD_DATE:-$(TZ=UTC git_says log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd || date -u +%Y-%m-%dT%H:%M:%SZ)}

# docker_runs asks the engine, and no longer than five seconds.
docker_runs() {
	command -v docker >/dev/null || return 1
	if command -v timeout >/dev/null; then
		timeout 5 docker version >/dev/null 2>&1
	else
		docker version >/dev/null 2>&1
	fi
}

set -- --tag "$image:$version" \
	--build-arg "SERVICE=$service" --build-arg "VERSION=$version" \
	--build-arg "BUILD_DATE=$date" --build-arg "VCS_REF=$ref"
[ -z "$platforms" ] || set -- "$@" --platform "$platforms"
case $push,$platforms in
true,*) set -- "$@" --push ;;
*,*,*) ;; # Docker's classic store holds no image of several platforms
*) ! docker_runs || set -- "$@" --load ;;
esac
# What cannot be measured stops nothing.
"$outlast" check "$context" || :
exec "$outlast" build "$@" "$context"
