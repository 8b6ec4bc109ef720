// The plugin pulumi-resource-random: upstream's Terraform provider behind Pulumi's bridge, for the resource in use.
package main

import (
	"context"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	pftfgen "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	bridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// Set by the linker to the version that go-tools.ts names.
var version string

func main() {
	ctx := context.Background()
	info := bridge.ProviderInfo{
		Name:         "random",
		Version:      version,
		P:            tfbridge.ShimProvider(provider.New()),
		Resources:    map[string]*bridge.ResourceInfo{"random_password": {Tok: "random:index/randomPassword:RandomPassword"}},
		MetadataInfo: bridge.NewProviderMetadata([]byte("{}")),
		IgnoreMappings: []string{
			"random_bytes", "random_id", "random_integer", "random_pet", "random_shuffle", "random_string", "random_uuid",
			"random_uuid4", "random_uuid7",
		},
	}
	// The schema is generated when it is asked for, so it cannot differ from what the plugin does.
	schema := func(ctx context.Context, _ plugin.GetSchemaRequest) ([]byte, error) {
		sink := diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never})
		generated, err := pftfgen.GenerateSchema(ctx, pftfgen.GenerateSchemaOptions{
			ProviderInfo: info, DiagnosticsSink: sink, XInMemoryDocs: true,
		})
		if err != nil {
			return nil, err
		}
		return generated.ProviderMetadata.PackageSchema, nil
	}
	tfbridge.Main(ctx, "random", info, tfbridge.ProviderMetadata{XGetSchema: schema})
}
