package dockerfile

import (
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

func runNeeds(s *stage, c command, cmd *instructions.RunCommand, lines []string) []Need { return nil }
