//go:build tools

// Package helm pins the real Helm that the chart's tests run.
// It is a module of its own: what Helm depends on must not choose versions for the API server.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
