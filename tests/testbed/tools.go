//go:build tools

// Package testbed pins the real Kubernetes programs that the tests start.
// Nothing here is compiled into a program of ours: the blank imports only keep the modules in go.sum.
package testbed

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
