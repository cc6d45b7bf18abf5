//! Every test that needs the Kubernetes API or AWS, in one program, because one program has one testbed.

#[path = "live/access_logs.rs"]
mod access_logs;
#[path = "live/account.rs"]
mod account;
#[path = "live/adoption.rs"]
mod adoption;
#[path = "live/assumed.rs"]
mod assumed;
#[path = "live/bucket.rs"]
mod bucket;
#[path = "live/chart.rs"]
mod chart;
#[path = "live/connect.rs"]
mod connect;
#[path = "live/consumers.rs"]
mod consumers;
#[path = "live/crash.rs"]
mod crash;
#[path = "live/crd.rs"]
mod crd;
#[path = "live/delivery.rs"]
mod delivery;
#[path = "live/domain.rs"]
mod domain;
#[path = "live/drift.rs"]
mod drift;
#[path = "live/elsewhere.rs"]
mod elsewhere;
#[path = "live/ends.rs"]
mod ends;
#[path = "live/events.rs"]
mod events;
#[path = "live/explain.rs"]
mod explain;
#[path = "live/export.rs"]
mod export;
#[path = "live/faults.rs"]
mod faults;
#[path = "live/identity.rs"]
mod identity;
#[path = "live/image.rs"]
mod image;
#[path = "live/keys.rs"]
mod keys;
#[path = "live/kill.rs"]
mod kill;
#[path = "live/leader.rs"]
mod leader;
#[path = "live/lifecycle.rs"]
mod lifecycle;
#[path = "live/messages.rs"]
mod messages;
#[path = "live/metrics.rs"]
mod metrics;
#[path = "live/namespaces.rs"]
mod namespaces;
#[path = "live/neighbours.rs"]
mod neighbours;
#[path = "live/noise.rs"]
mod noise;
#[path = "live/permissions.rs"]
mod permissions;
#[path = "live/preflight.rs"]
mod preflight;
#[path = "live/presence.rs"]
mod presence;
#[path = "live/protocol.rs"]
mod protocol;
#[path = "live/push.rs"]
mod push;
#[path = "live/recovery.rs"]
mod recovery;
#[path = "live/refusals.rs"]
mod refusals;
#[path = "live/regions.rs"]
mod regions;
#[path = "live/requests.rs"]
mod requests;
#[path = "live/roles.rs"]
mod roles;
#[path = "live/rollout.rs"]
mod rollout;
#[path = "live/scale.rs"]
mod scale;
#[path = "live/scene.rs"]
mod scene;
#[path = "live/secrets.rs"]
mod secrets;
#[path = "live/seed.rs"]
mod seed;
#[path = "live/slow.rs"]
mod slow;
#[path = "live/smoke.rs"]
mod smoke;
#[path = "live/snapshot.rs"]
mod snapshot;
#[path = "live/subscriptions.rs"]
mod subscriptions;
#[path = "live/tags.rs"]
mod tags;
#[path = "live/testbed.rs"]
mod testbed;
#[path = "live/totals.rs"]
mod totals;
