// The plugin pulumi-resource-docker: upstream's Terraform provider behind Pulumi's bridge, for the resources in use.
package main

import (
	"encoding/json"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// Set by the linker to the version that go-tools.ts names.
var version string

func main() {
	info := tfbridge.ProviderInfo{
		Name:    "docker",
		Version: version,
		P:       sdkv2.NewProvider(provider.New(version)()),
		Config: map[string]*tfbridge.SchemaInfo{
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_image": {Tok: "docker:index/remoteImage:RemoteImage"},
			"docker_registry_image": {
				Tok: "docker:index/registryImage:RegistryImage",
				// The npm SDK lets the name be left out.
				Fields: map[string]*tfbridge.SchemaInfo{"name": tfbridge.AutoName("name", 255, "-")},
			},
		},
		// Every data source with the name of a mapped resource has to be mapped too.
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image":          {Tok: "docker:index/getRemoteImage:getRemoteImage"},
			"docker_registry_image": {Tok: "docker:index/getRegistryImage:getRegistryImage"},
		},
		IgnoreMappings: []string{
			"docker_buildx_builder", "docker_config", "docker_container", "docker_logs", "docker_network", "docker_plugin",
			"docker_registry_image_manifests", "docker_secret", "docker_service", "docker_tag", "docker_volume",
		},
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
	// Generated at every start (some milliseconds), so the schema cannot differ from what the plugin does.
	generated, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo:    info,
		DiagnosticsSink: diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		cmdutil.ExitError(err.Error())
	}
	schema, err := json.Marshal(generated.PackageSpec)
	if err != nil {
		cmdutil.ExitError(err.Error())
	}
	tfbridge.Main("docker", version, info, schema)
}
