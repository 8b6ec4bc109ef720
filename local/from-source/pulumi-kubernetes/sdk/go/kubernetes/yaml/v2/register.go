package v2

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource is what Chart, ConfigFile and ConfigGroup call for every object; the plugin that is built has none of them.
func RegisterResource(_ *pulumi.Context, apiVersion, kind, name string, _ pulumi.Input,
	_ ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	return nil, fmt.Errorf("%s/%s %q: the plugin built from source knows no Chart, ConfigFile or ConfigGroup; "+
		"use the released plugin", apiVersion, kind, name)
}
