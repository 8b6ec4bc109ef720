// What upstream's provider takes of its Go SDK, and no more: the SDK's types of every Kubernetes kind, which only Chart,
// ConfigFile and ConfigGroup register, are the largest part of all that the plugin would compile.
module github.com/pulumi/pulumi-kubernetes/sdk/v4

go 1.24.7

require github.com/pulumi/pulumi/sdk/v3 v3.215.0
