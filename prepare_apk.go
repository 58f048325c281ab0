package outlast

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/gateway/apk"
)

// maxRepositories bounds apk's list of repositories. Alpine's has 200 bytes.
const maxRepositories = 64 << 10

// repositories are apk's lists of repositories of the base images, with the
// gateway in the place of their hosts. An image whose list is not known in time
// is left out.
func (b *build) repositories(ctx context.Context, rec recipe, managers, unknown []string) map[string][]byte {
	if !slices.Contains(managers, "apk") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, envLimit)
	defer cancel()
	lists := make(map[string][]byte)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(4)
	for _, im := range rec.images() {
		if slices.Contains(unknown, im.ref) || !rec.bases(im.ref) {
			continue
		}
		group.Go(func() error {
			list, err := b.mirror.images().File(ctx, b.lock.pinned(im.ref), im.platforms, strings.TrimPrefix(dockerfile.ApkRepositories, "/"), maxRepositories)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				lists[im.ref] = list
			}
			return nil
		})
	}
	_ = group.Wait()
	for image, list := range lists {
		lists[image] = b.ledRepositories(ctx, list)
	}
	return lists
}

// repositoryLine is an entry of apk's list of repositories: a tag, if there is
// one, and an address without login and query, which components may follow.
var repositoryLine = regexp.MustCompile(`(?m)^([ \t]*(?:@\S+[ \t]+)?)(https?)://([^\s/@?#]+)(/[^\s?#@]*)?([ \t].*|)$`)

// ledRepositories leads a list of repositories to the gateway. What it does not
// go to stays as it is.
func (b *build) ledRepositories(ctx context.Context, list []byte) []byte {
	return repositoryLine.ReplaceAllFunc(list, func(line []byte) []byte {
		m := repositoryLine.FindSubmatch(line)
		host := strings.ToLower(string(m[3]))
		if !b.open(ctx, host) || b.mirror.apk.Allow(host) != nil {
			return line
		}
		return slices.Concat(m[1], []byte("http://"+b.mirror.address+apk.Prefix), m[2], []byte("/"+host), m[4], m[5])
	})
}

// known are the images whose list of repositories is known.
func known(lists map[string][]byte) map[string]bool {
	all := make(map[string]bool, len(lists))
	for image := range lists {
		all[image] = true
	}
	return all
}
