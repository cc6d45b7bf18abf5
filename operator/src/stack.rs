//! `SumuStack` → [`StackSpec`]: the values that the rest of the operator works with, checked. Pure.
//!
//! After this step nothing reaches back into the custom resource. What the CRD's rules could not say is refused
//! here with a sentence that tells the remedy.

pub mod consumers;
pub mod name;
pub mod note;
pub mod subscription;
pub mod tags;

use std::collections::BTreeMap;

use sumu_contract::limits::ENVIRONMENT_BYTES_MAX;
use sumu_contract::settings::{self, AuthorizerSettings, Settings};

use crate::sumu_stack::{self, AccessLogs, Architecture, Consumer, CustomDomain, S3Package, SumuStack, Throttling};
use name::{Owner, Tags};
use subscription::Subscription;

/// A validated stack.
#[derive(Clone, Debug, PartialEq)]
pub struct StackSpec {
    /// Whose it is.
    pub owner: Owner,
    /// Where it is.
    pub location: Location,
    /// Name of the API's stage.
    pub stage_name: String,
    /// The user's tags and ours.
    pub tags: Tags,
    /// Settings of the authorizer function.
    pub authorizer: AuthorizerSettings,
    /// How long a row of the connections table lives.
    pub connection_ttl_seconds: u32,
    /// Whether the connections table is protected from deletion, if the spec says.
    pub deletion_protection: Option<bool>,
    /// Whether the connections table can be restored to a moment of the past, if the spec says.
    pub point_in_time_recovery: Option<bool>,
    /// Limits of the stage.
    pub throttling: Throttling,
    /// How long access logs are kept, in days; there are none when absent.
    pub access_log_retention_days: Option<u32>,
    /// A domain name of the user's own.
    pub custom_domain: Option<CustomDomain>,
    /// How long a message of the messages queue that was received stays hidden.
    pub messages_visibility_seconds: u32,
    /// The users' functions that the messages queue feeds, each once.
    pub consumers: Vec<Consumer>,
    /// Where presence events go.
    pub presence_source: settings::PresenceSource,
    /// How long a user who has lost the last connection still counts as online.
    pub grace_period_seconds: u32,
    /// Who receives what clients publish.
    pub subscriptions: Vec<Subscription>,
    /// What an empty list of users means.
    pub empty_users: settings::EmptyUsers,
    /// How often a post is tried.
    pub push_attempts_max: u32,
    /// Posts a second over all pushers that work at once on one queue.
    pub push_rate_max: u32,
    /// How many pushers work at once on each of their queues.
    pub pusher_concurrency_max: u32,
    /// The processor of the functions.
    pub architecture: Architecture,
    /// Where their code is, when it is not the operator's own.
    pub code: Option<S3Package>,
    /// Their memory in MiB.
    pub memory_mib: u32,
    /// How long their logs are kept, in days.
    pub log_retention_days: u32,
}

/// Where a stack lives and as whom the operator works there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The region.
    pub region: String,
    /// The role to assume.
    pub role: Option<AssumedRole>,
}

/// A role that the operator assumes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AssumedRole {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
}

/// Why a stack cannot be built as it is written. The text names the field and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// Keeps an object until its AWS resources are gone.
pub const FINALIZER: &str = "sumu.live/aws-resources";

/// Whether something may have been made in AWS for an object, so that it is kept until that is gone.
#[must_use]
pub fn is_held(stack: &SumuStack) -> bool {
    stack.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// An object as its cluster knows it. What is remembered of it, and what belongs to it in Kubernetes, goes by this; what
/// belongs to it in AWS by its [`Owner`], which may be an object that was before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The UID of the object in whose place it is, once it is.
    pub predecessor: Option<String>,
}

impl Object {
    /// The object of the API server.
    ///
    /// # Errors
    /// When it has no UID, namespace or name.
    pub fn of(stack: &SumuStack) -> Result<Self, Invalid> {
        let missing =
            |field: &str| Invalid(format!("metadata.{field} is missing: the object must come from an API server"));
        let adoption = stack.spec.adoption.as_ref().filter(|_| is_held(stack));
        Ok(Self {
            uid: stack.metadata.uid.clone().ok_or_else(|| missing("uid"))?,
            namespace: stack.metadata.namespace.clone().ok_or_else(|| missing("namespace"))?,
            name: stack.metadata.name.clone().ok_or_else(|| missing("name"))?,
            predecessor: adoption.map(|adoption| adoption.uid.clone()),
        })
    }
}

impl Owner {
    /// Whose an object's resources in AWS are: its own, or those of the object whose stack it adopts.
    ///
    /// # Errors
    /// When the object has no UID, namespace or name.
    pub fn of(stack: &SumuStack) -> Result<Self, Invalid> {
        let Object { uid, namespace, name, predecessor: _ } = Object::of(stack)?;
        Ok(match stack.spec.adoption.clone() {
            None => Self { uid, namespace, name },
            Some(adoption) => Self {
                uid: adoption.uid,
                namespace: adoption.namespace.unwrap_or(namespace),
                name: adoption.name.unwrap_or(name),
            },
        })
    }
}

impl Location {
    /// Where a stack lives. Needed for deletion too, so it depends on nothing that validation may refuse.
    #[must_use]
    pub fn of(aws: &sumu_stack::Aws, default_region: &str) -> Self {
        Self {
            region: aws.region.clone().unwrap_or_else(|| default_region.to_owned()),
            role: aws.role_arn.clone().map(|arn| AssumedRole { arn, external_id: aws.external_id.clone() }),
        }
    }
}

impl StackSpec {
    /// Checks a stack.
    ///
    /// # Errors
    /// When the stack cannot be built as it is written.
    pub fn of(stack: &SumuStack, default_region: &str) -> Result<Self, Invalid> {
        let owner = Owner::of(stack)?;
        let spec = &stack.spec;
        let mut tags: Tags = spec.tags.clone().into_iter().chain(tags::noted(&spec.tags)).collect();
        tags.extend(owner.tags());
        let location = Location::of(&spec.aws, default_region);
        Ok(Self {
            custom_domain: custom_domain(spec.gateway.custom_domain.as_ref(), &location.region)?,
            consumers: consumers::of(&spec.messages.consumers, &location.region)?,
            location,
            stage_name: spec.stage_name.clone(),
            tags,
            authorizer: authorizer(&spec.authorizer)?,
            connection_ttl_seconds: spec.connections.ttl_seconds,
            deletion_protection: spec.connections.deletion_protection,
            point_in_time_recovery: spec.connections.point_in_time_recovery,
            throttling: spec.gateway.throttling.clone(),
            access_log_retention_days: access_log_retention_days(spec.gateway.access_logs.as_ref()),
            messages_visibility_seconds: spec.messages.visibility_timeout_seconds,
            presence_source: presence_source(spec.presence.source),
            grace_period_seconds: spec.presence.grace_period_seconds,
            subscriptions: subscription::all(&spec.messages.subscriptions)?,
            empty_users: empty_users(spec.pusher.empty_users),
            push_attempts_max: spec.pusher.max_attempts,
            push_rate_max: spec.pusher.max_rate,
            pusher_concurrency_max: spec.pusher.max_concurrency,
            architecture: spec.functions.architecture,
            code: spec.functions.package.s3.clone(),
            memory_mib: spec.functions.memory_mib,
            log_retention_days: spec.functions.log_retention_days,
            owner,
        })
    }
}

fn authorizer(authorizer: &sumu_stack::Authorizer) -> Result<AuthorizerSettings, Invalid> {
    let settings = AuthorizerSettings {
        issuers: authorizer
            .issuers
            .iter()
            .map(|issuer| settings::Issuer {
                jwks_uri: issuer.jwks_uri.clone(),
                issuer: issuer.issuer.clone(),
                audiences: issuer.audiences.clone(),
            })
            .collect(),
        verify_expiration: authorizer.verify_expiration,
        leeway_seconds: authorizer.leeway_seconds.into(),
        principal_claim: authorizer.principal_claim.clone(),
        token_sources: authorizer.token_sources.iter().copied().map(token_source).collect(),
    };
    let bytes = environment_bytes(&settings.environment());
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(Invalid(format!(
            "spec.authorizer needs {bytes} bytes and AWS Lambda allows {ENVIRONMENT_BYTES_MAX} for a function's \
             environment: name fewer issuers or audiences, or shorter ones"
        )));
    }
    Ok(settings)
}

/// API Gateway takes only a certificate of the region that the API is in.
fn custom_domain(domain: Option<&CustomDomain>, region: &str) -> Result<Option<CustomDomain>, Invalid> {
    let of_certificate = domain.and_then(|domain| domain.certificate_arn.as_deref()?.split(':').nth(3));
    if let Some(other) = of_certificate.filter(|other| *other != region) {
        return Err(Invalid(format!(
            "spec.gateway.customDomain.certificateArn is in {other} and the stack in {region}: API Gateway takes a \
             certificate of the same region only; request or import one in {region}"
        )));
    }
    Ok(domain.cloned())
}

fn access_log_retention_days(logs: Option<&AccessLogs>) -> Option<u32> {
    logs.filter(|logs| logs.enabled).map(|logs| logs.retention_days)
}

/// What Lambda counts: the bytes of all names and values.
fn environment_bytes(variables: &BTreeMap<String, String>) -> usize {
    variables.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn token_source(source: sumu_stack::TokenSource) -> settings::TokenSource {
    match source {
        sumu_stack::TokenSource::QueryString => settings::TokenSource::QueryString,
        sumu_stack::TokenSource::Header => settings::TokenSource::Header,
        sumu_stack::TokenSource::Subprotocol => settings::TokenSource::Subprotocol,
    }
}

fn presence_source(source: sumu_stack::PresenceSource) -> settings::PresenceSource {
    match source {
        sumu_stack::PresenceSource::Queue => settings::PresenceSource::Queue,
        sumu_stack::PresenceSource::Topic => settings::PresenceSource::Topic,
        sumu_stack::PresenceSource::Both => settings::PresenceSource::Both,
        sumu_stack::PresenceSource::Stream => settings::PresenceSource::Stream,
    }
}

fn empty_users(empty_users: sumu_stack::EmptyUsers) -> settings::EmptyUsers {
    match empty_users {
        sumu_stack::EmptyUsers::Broadcast => settings::EmptyUsers::Broadcast,
        sumu_stack::EmptyUsers::Reject => settings::EmptyUsers::Reject,
    }
}
