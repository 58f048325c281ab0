package dockerfile

import (
	_ "embed" // the programs of the stage
)

// The programs that a hardened file brings along. They need a POSIX shell.
var (
	//go:embed persist/again
	again string
	//go:embed persist/once
	once string
	//go:embed persist/settings
	settings string
)

const (
	hardenedMark = "# Written by `outlast harden`"
	leftMark     = "# Not hardened: "
	stageName    = "persist"
	stageMount   = " --mount=from=persist,target=/dev/persist"
	againWord    = "/dev/persist/again "
	onceWord     = "/dev/persist/once "
)

// kept are the folders in which package managers keep what they fetched, and
// nothing that the image needs. Two apts cannot have theirs at once.
var kept = map[string]string{
	"apt": " --mount=type=cache,target=/dev/kept/apt,sharing=locked",
	"go":  " --mount=type=cache,target=/dev/kept/go,mode=1777",
	"npm": " --mount=type=cache,target=/dev/kept/npm,mode=1777",
	"pip": " --mount=type=cache,target=/dev/kept/pip,mode=1777",
}

// stageText is the stage that brings the programs along. Steps mount it below
// /dev, which is fresh in each step: nothing stays in the image.
func stageText() string {
	return "# What steps call so that they persist. It is mounted, and is no part of the image.\n" +
		"FROM scratch AS " + stageName + "\n" + settings +
		"COPY --chmod=755 <<'AGAIN' /again\n" + again + "AGAIN\n" +
		"COPY --chmod=755 <<'ONCE' /once\n" + once + "ONCE\n\n"
}
