// The plugin pulumi-resource-kubernetes: upstream's own provider with its own schema, under a version that says it is built.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// Set by the linker to the version that go-tools.ts names.
var version string

// Both files are upstream's, put here for the time of the build: they are too large to keep twice, and embedding cannot
// reach into another module.
var (
	//go:embed schema-embed.json
	schema []byte
	//go:embed terraform-mapping-embed.json
	terraformMapping []byte
)

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}
