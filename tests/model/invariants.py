"""What must hold in every state that anybody can see, whatever is under way."""

from tests.model.world import World


def shares_add_up(world: World) -> None:
    shares = world.status.traffic.shares
    assert sum(share.weight for share in shares) in ({100} if shares else {0}), shares


def shares_name_published_clusters(world: World) -> None:
    traffic = world.status.traffic
    assert {share.revision for share in traffic.shares} <= set(traffic.clusters)


def routers_know_a_cluster_before_a_share_names_it(world: World) -> None:
    known = [set(traffic.clusters) for traffic in world.served]
    for share in world.status.traffic.shares:
        assert all(share.revision in clusters for clusters in known), (share, known)


def what_a_router_may_know_has_a_deployment(world: World) -> None:
    running = set(world.names("Deployment"))
    for traffic in (*world.served, world.status.traffic):
        assert set(traffic.clusters) <= running, (traffic, running)


def stable_has_all_that_it_needs(world: World) -> None:
    stable = world.status.stable_revision
    if stable:
        assert stable in world.names("Deployment")
        assert stable in world.names("Service")
        assert stable in world.names("ControllerRevision")


INVARIANTS = (
    shares_add_up,
    shares_name_published_clusters,
    routers_know_a_cluster_before_a_share_names_it,
    what_a_router_may_know_has_a_deployment,
    stable_has_all_that_it_needs,
)
