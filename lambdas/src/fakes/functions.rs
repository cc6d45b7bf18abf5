//! The four functions, each on the cloud in memory.

use sumu_contract::settings::{AuthorizerSettings, EmptyUsers, Issuer, PresenceSource, TokenSource};

use super::{Channel, Cloud};
use crate::authorizer::Authorizer;
use crate::pusher::{Ports, Pusher, Rules};
use crate::routes::Routes;
use crate::watchdog::changes::Changes;
use crate::watchdog::{Watchdog, reconcile::Reconciler};

/// Where the authorizer's issuer has its keys; what follows the host is a secret.
pub const JWKS_URI: &str = "https://user:KeysPassword@issuer.test/jwks?key=KeysSecret";

pub fn authorizer(cloud: &Cloud) -> Authorizer<Cloud, Cloud> {
    let settings = AuthorizerSettings {
        issuers: vec![Issuer { jwks_uri: JWKS_URI.into(), issuer: None, audiences: Vec::new() }],
        token_sources: vec![TokenSource::QueryString, TokenSource::Header, TokenSource::Subprotocol],
        principal_claim: "sub".into(),
        verify_expiration: true,
        leeway_seconds: 0,
    };
    Authorizer::new(settings, cloud.clone(), cloud.clone())
}

pub fn routes(cloud: &Cloud) -> Routes<Cloud, Channel, Channel, Cloud> {
    Routes {
        connections: cloud.clone(),
        connection_ttl_seconds: 7200,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        clock: cloud.clone(),
    }
}

pub fn pusher(cloud: &Cloud) -> Pusher<Cloud, Cloud, Channel, Cloud> {
    let rules = Rules {
        pushes_queue: "pushes".into(),
        empty_users: EmptyUsers::Broadcast,
        max_attempts: 3,
        max_rate: 7000,
        max_concurrency: 10,
    };
    let ports = Ports {
        audience: cloud.clone(),
        sockets: cloud.clone(),
        pushes: cloud.named("pushes"),
        dead_letters: cloud.named("dead letters"),
        pushes_dead_letters: cloud.named("pushes dead letters"),
        clock: cloud.clone(),
    };
    Pusher::new(ports, rules)
}

pub fn watchdog(cloud: &Cloud) -> Watchdog<Cloud, Cloud, Channel, Channel, Cloud> {
    Watchdog::new(Reconciler {
        changes: Changes::default(),
        connections: cloud.clone(),
        presence: cloud.clone(),
        source: PresenceSource::Queue,
        queue: cloud.named("queue"),
        topic: cloud.named("topic"),
        departures: None,
        clock: cloud.clone(),
    })
}
