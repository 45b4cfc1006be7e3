// soci-node is what a node has besides containerd and AWS's soci-snapshotter-grpc.
//
//	soci-node pull [-address SOCKET] [-namespace NAME] [-snapshotter NAME] [-index DIGEST] REFERENCE
//	soci-node bridge [-namespace NAME] SOCKET SNAPSHOTTER
//
// pull: a remote snapshotter knows an image by labels alone, which the client's unpacker passes; `ctr` passes none, and AWS's own CLI has
// had no command that pulls lazily since 0.10. The labels here are nerdctl's (pkg/imgutil/pull), by the same two functions. Without -index
// the snapshotter looks for the index itself. With another snapshotter it is an eager pull, as nerdctl and Kubernetes do one. Credentials are those of Docker's configuration, a CA is in SSL_CERT_FILE.
//
// bridge: containerd 1.6 does not tell a snapshotter its namespace (later ones do: cmd/containerd/server/namespace.go), and the snapshotter
// refuses calls without one. This listens at SOCKET, adds it, and passes the calls on to SNAPSHOTTER.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/awslabs/soci-snapshotter/fs/source"
	"github.com/awslabs/soci-snapshotter/service/keychain/dockerconfig"
	api "github.com/containerd/containerd/api/services/snapshots/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/containerd/v2/pkg/snapshotters"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soci-node:", err)
		os.Exit(1)
	}
}

func run(words []string) error {
	flags := flag.NewFlagSet("soci-node", flag.ExitOnError)
	address := flags.String("address", "/run/containerd/containerd.sock", "containerd's socket")
	namespace := flags.String("namespace", "default", "containerd's namespace")
	snapshotter := flags.String("snapshotter", "soci", "containerd's name of the snapshotter")
	index := flags.String("index", "", "digest of the SOCI index; none: the snapshotter looks for one")
	if len(words) > 0 {
		_ = flags.Parse(words[1:])
		ctx := namespaces.WithNamespace(context.Background(), *namespace)
		switch {
		case words[0] == "pull" && flags.NArg() == 1:
			return pull(ctx, *address, *snapshotter, *index, flags.Arg(0))
		case words[0] == "bridge" && flags.NArg() == 2:
			return bridge(*namespace, flags.Arg(0), flags.Arg(1))
		}
	}
	return errors.New("pull [-address SOCKET] [-namespace NAME] [-snapshotter NAME] [-index DIGEST] REFERENCE, or " +
		"bridge [-namespace NAME] SOCKET SNAPSHOTTER")
}

func pull(ctx context.Context, address, snapshotter, index, name string) error {
	client, err := containerd.New(address)
	if err != nil {
		return err
	}
	defer client.Close()
	spec, err := reference.Parse(name)
	if err != nil {
		return err
	}
	keychain := dockerconfig.NewDockerConfigKeychain(ctx)
	credentials := func(host string) (string, string, error) { return keychain(spec, host) }
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthCreds(credentials))
	hosts := docker.ConfigureDefaultRegistries(docker.WithAuthorizer(authorizer), docker.WithPlainHTTP(docker.MatchLocalhost))
	image, err := client.Pull(ctx, name,
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter(snapshotter),
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: hosts})),
		containerd.WithImageHandlerWrapper(source.AppendDefaultLabelsHandlerWrapper(index, snapshotters.AppendInfoHandlerWrapper(name))),
	)
	if err != nil {
		return err
	}
	fmt.Println(image.Target().Digest)
	return nil
}

func bridge(namespace, socket, snapshotter string) error {
	connection, err := grpc.NewClient("unix://"+snapshotter, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any, to *grpc.ClientConn,
			call grpc.UnaryInvoker, options ...grpc.CallOption) error {
			return call(namespaces.WithNamespace(ctx, namespace), method, request, reply, to, options...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, description *grpc.StreamDesc, to *grpc.ClientConn, method string,
			call grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			return call(namespaces.WithNamespace(ctx, namespace), description, to, method, options...)
		}))
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(proxy.NewSnapshotter(api.NewSnapshotsClient(connection), "soci")))
	return server.Serve(listener)
}
