//! A backend's request for a push: its two forms, and all that can be wrong with it. Pure.

use std::collections::HashSet;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sumu_contract::limits::{POST_BYTES_MAX, USER_ID_BYTES_MAX};
use sumu_contract::settings::EmptyUsers;

use super::json::compact;

/// The longest `id` of a notification.
const ID_BYTES_MAX: usize = 1024;

/// What is to be delivered, and to whom.
#[derive(Clone, Debug)]
pub struct Notification {
    /// To whom.
    pub target: Target,
    /// Users who do not get it.
    pub exclude_users: HashSet<String>,
    /// Connections that do not get it.
    pub exclude_connections: HashSet<String>,
    /// The compact JSON text that each connection receives.
    pub data: Box<RawValue>,
    /// The backend's id of it.
    pub id: Option<String>,
    /// When it is worth nothing any more (epoch seconds).
    pub expires_at: Option<u64>,
    /// How often it was tried before.
    pub attempt: u32,
}

/// To whom a notification goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These users, each once.
    Users(Vec<String>),
    /// These connections, each once.
    Connections(Vec<Recipient>),
    /// Everyone.
    Everyone,
}

/// One connection to post to.
///
/// Backends name a connection by its id alone; nothing is known of its row, so that a 410 can only be counted. Our own
/// retry items name the row as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recipient {
    /// By its id alone.
    Bare(String),
    /// With its row.
    Row {
        /// The user.
        user_id: String,
        /// The connection.
        connection_id: String,
        /// When it was made (epoch milliseconds).
        connected_at: u64,
    },
}

impl Recipient {
    /// API Gateway's id of the connection.
    #[must_use]
    pub fn connection_id(&self) -> &str {
        match self {
            Self::Bare(connection_id) | Self::Row { connection_id, .. } => connection_id,
        }
    }

    fn user_id(&self) -> Option<&str> {
        match self {
            Self::Bare(_) => None,
            Self::Row { user_id, .. } => Some(user_id),
        }
    }
}

/// Why a request can never be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// The record is neither SQS's nor SNS's.
    UnknownRecord,
    /// Not JSON.
    NotJson,
    /// JSON, but not an object, or one in which a name occurs twice.
    NotAnObject,
    /// `data` is missing.
    DataMissing,
    /// `data` is over the gateway's limit.
    DataTooLarge,
    /// `users` is not a list of user ids.
    UsersInvalid,
    /// `users` is empty, and that is not allowed to mean everyone.
    UsersEmpty,
    /// `exclude_users` is not a list of texts.
    ExcludeUsersInvalid,
    /// `target` is none of its three forms.
    TargetInvalid,
    /// `target` names nobody.
    TargetEmpty,
    /// `exclude` is not of its form.
    ExcludeInvalid,
    /// Members of the short and of the explicit form.
    FormsMixed,
    /// `id` is not a text, or too long.
    IdInvalid,
    /// `expiresAt` is not a date.
    ExpiresAtInvalid,
    /// `attempt` is not a count.
    AttemptInvalid,
    /// A broadcast to more than one page that does not fit into a work item.
    TooLargeToDivide,
}

impl BadRequest {
    /// The reason in the log and in the dead-letter queue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownRecord => "the record is neither SQS's nor SNS's",
            Self::NotJson => "the request is not JSON",
            Self::NotAnObject => "the request is not a JSON object with unique names",
            Self::DataMissing => "data is missing",
            Self::DataTooLarge => "data has more than 131072 bytes",
            Self::UsersInvalid => "users is not a list of user ids",
            Self::UsersEmpty => "users is empty or missing; everyone must be named by target.broadcast",
            Self::ExcludeUsersInvalid => "exclude_users is not a list of texts",
            Self::TargetInvalid => "target is not one of users, connections, broadcast: true",
            Self::TargetEmpty => "target names nobody",
            Self::ExcludeInvalid => "exclude is not an object of users and connections",
            Self::FormsMixed => "the short and the explicit form are mixed",
            Self::IdInvalid => "id is not a text of at most 1024 bytes",
            Self::ExpiresAtInvalid => "expiresAt is not a number of epoch seconds",
            Self::AttemptInvalid => "attempt is not a count",
            Self::TooLargeToDivide => {
                "data and exclusions have more than about 248 KiB, too much for a broadcast to this many connections"
            }
        }
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The members that have a meaning; others are left alone, as the original did. `null` is as good as missing, but for
/// `data`, of which it is a value.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    users: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude_users: Option<&'a RawValue>,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
    #[serde(borrow)]
    exclude: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "expiresAt")]
    expires_at: Option<&'a RawValue>,
    #[serde(borrow)]
    attempt: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Unknown members are refused here: a misspelt one would change who gets the data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetForm {
    users: Option<Vec<String>>,
    connections: Option<Vec<Recipient>>,
    broadcast: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExcludeForm {
    users: Option<Vec<String>>,
    connections: Option<Vec<String>>,
}

impl Notification {
    /// Reads a request.
    pub fn parse(text: &str, empty_users: EmptyUsers) -> Result<Self, BadRequest> {
        if !text.trim_start().starts_with('{') {
            let json: Result<&RawValue, _> = serde_json::from_str(text);
            return Err(if json.is_ok() { BadRequest::NotAnObject } else { BadRequest::NotJson });
        }
        let members: Members<'_> = serde_json::from_str(text)
            .map_err(|error| if error.is_data() { BadRequest::NotAnObject } else { BadRequest::NotJson })?;
        let (target, exclude) = audience(&members, empty_users)?;
        let expires_at: Option<f64> = read(members.expires_at, BadRequest::ExpiresAtInvalid)?;
        let id: Option<String> = read(members.id, BadRequest::IdInvalid)?;
        if id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(BadRequest::IdInvalid);
        }
        Ok(Self {
            target,
            exclude_users: exclude.users.unwrap_or_default().into_iter().collect(),
            exclude_connections: exclude.connections.unwrap_or_default().into_iter().collect(),
            data: data(members.data)?,
            id,
            expires_at: expires_at.map(epoch_seconds).transpose()?,
            attempt: read(members.attempt, BadRequest::AttemptInvalid)?.unwrap_or(0),
        })
    }

    /// Whether it is worth nothing any more at `now` (epoch milliseconds).
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at < now / 1000)
    }

    /// Whether a connection is not excluded. A bare connection's user is not known and cannot exclude it.
    #[must_use]
    pub fn reaches(&self, recipient: &Recipient) -> bool {
        !self.exclude_connections.contains(recipient.connection_id())
            && !recipient.user_id().is_some_and(|user_id| self.exclude_users.contains(user_id))
    }
}

fn audience(members: &Members<'_>, empty_users: EmptyUsers) -> Result<(Target, ExcludeForm), BadRequest> {
    if members.target.is_some() {
        if members.users.is_some() || members.exclude_users.is_some() {
            return Err(BadRequest::FormsMixed);
        }
        let form = read_object(members.target, BadRequest::TargetInvalid)?.ok_or(BadRequest::TargetInvalid)?;
        let exclude = read_object(members.exclude, BadRequest::ExcludeInvalid)?.unwrap_or_default();
        return Ok((explicit(form)?, exclude));
    }
    if members.exclude.is_some() {
        return Err(BadRequest::FormsMixed);
    }
    let users: Vec<String> = read(members.users, BadRequest::UsersInvalid)?.unwrap_or_default();
    let target = match (users.is_empty(), empty_users) {
        (true, EmptyUsers::Broadcast) => Target::Everyone,
        (true, EmptyUsers::Reject) => return Err(BadRequest::UsersEmpty),
        (false, _) => Target::Users(user_ids(users)?),
    };
    let exclude =
        ExcludeForm { users: read(members.exclude_users, BadRequest::ExcludeUsersInvalid)?, connections: None };
    Ok((target, exclude))
}

fn explicit(form: TargetForm) -> Result<Target, BadRequest> {
    match form {
        TargetForm { users: Some(users), connections: None, broadcast: None } => {
            if users.is_empty() {
                Err(BadRequest::TargetEmpty)
            } else {
                user_ids(users).map(Target::Users)
            }
        }
        TargetForm { users: None, connections: Some(connections), broadcast: None } => {
            let mut seen = HashSet::new();
            let unique: Vec<Recipient> =
                connections.into_iter().filter(|recipient| seen.insert(recipient.connection_id().to_owned())).collect();
            match unique.as_slice() {
                [] => Err(BadRequest::TargetEmpty),
                all if all.iter().any(|recipient| recipient.connection_id().is_empty()) => {
                    Err(BadRequest::TargetInvalid)
                }
                _ => Ok(Target::Connections(unique)),
            }
        }
        TargetForm { users: None, connections: None, broadcast: Some(true) } => Ok(Target::Everyone),
        _ => Err(BadRequest::TargetInvalid),
    }
}

/// Each user once, in the order named. An id that nobody can have is the backend's mistake, and `DynamoDB` would refuse
/// to look for it.
fn user_ids(users: Vec<String>) -> Result<Vec<String>, BadRequest> {
    if users.iter().any(|user| user.is_empty() || user.len() > USER_ID_BYTES_MAX) {
        return Err(BadRequest::UsersInvalid);
    }
    let mut seen = HashSet::new();
    Ok(users.into_iter().filter(|user| seen.insert(user.clone())).collect())
}

fn data(data: Option<&RawValue>) -> Result<Box<RawValue>, BadRequest> {
    let data = compact(data.ok_or(BadRequest::DataMissing)?.get());
    if data.len() > POST_BYTES_MAX {
        return Err(BadRequest::DataTooLarge);
    }
    RawValue::from_string(data).map_err(|_| BadRequest::NotJson)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of f64 saturate; the sign is checked"
)]
fn epoch_seconds(seconds: f64) -> Result<u64, BadRequest> {
    if seconds >= 0.0 { Ok(seconds as u64) } else { Err(BadRequest::ExpiresAtInvalid) }
}

fn read<T: DeserializeOwned>(member: Option<&RawValue>, error: BadRequest) -> Result<Option<T>, BadRequest> {
    member.map(|json| serde_json::from_str(json.get()).map_err(|_| error)).transpose()
}

/// Like [`read`], but a list does not pass for an object.
fn read_object<T: DeserializeOwned>(member: Option<&RawValue>, error: BadRequest) -> Result<Option<T>, BadRequest> {
    if member.is_some_and(|json| !json.get().starts_with('{')) {
        return Err(error);
    }
    read(member, error)
}

#[cfg(test)]
mod tests;
