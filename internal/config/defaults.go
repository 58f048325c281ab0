package config

// defaultRegistries are the registries that need settings or have mirrors. A
// mirror is trusted for tags only where its operator is the registry's own or
// one that images are commonly taken from, and where the name there means what
// it means at the registry (docs/decisions/settings.md).
func defaultRegistries() map[string]Registry {
	return map[string]Registry{
		"docker.io": {
			Origin: "https://registry-1.docker.io",
			Mirrors: []Mirror{
				{URL: "https://mirror.gcr.io", Tags: true},
				// Docker itself publishes its official images there.
				{URL: "https://public.ecr.aws/docker/library", Only: "library/", Tags: true},
				{URL: "https://dockerhub.azk8s.cn"},
			},
			Tokens: []string{"auth.docker.io"},
		},
		"gcr.io": {
			Origin: "https://gcr.io",
			Mirrors: []Mirror{
				// It mirrors Docker Hub: NAME there is docker.io/NAME, so that
				// a tag of it says nothing about gcr.io/NAME.
				{URL: "https://mirror.gcr.io"},
				{URL: "https://gcr.azk8s.cn"},
			},
		},
		"quay.io": {
			Origin:  "https://quay.io",
			Mirrors: []Mirror{{URL: "https://quay.azk8s.cn"}},
		},
		"registry.k8s.io": {
			Origin: "https://registry.k8s.io",
			Mirrors: []Mirror{
				// Frozen since April 2023: old digests only.
				{URL: "https://k8s.gcr.io"},
				{URL: "https://registry.aliyuncs.com/google_containers"},
			},
		},
		"ghcr.io":           {Origin: "https://ghcr.io"},
		"public.ecr.aws":    {Origin: "https://public.ecr.aws"},
		"mcr.microsoft.com": {Origin: "https://mcr.microsoft.com"},
	}
}
