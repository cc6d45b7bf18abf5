//! The rules, one file a service.

mod actions;
pub(super) mod callers;
pub(super) mod domains;
pub(super) mod forms;
pub(super) mod functions;
pub(super) mod gateway;
pub(super) mod gateway_forms;
pub(super) mod gateway_lists;
pub(super) mod lists;
pub(super) mod queues;
pub(super) mod rates;
pub(super) mod rights;
pub(super) mod roles;
pub(super) mod simulator;
pub(super) mod sources;
pub(super) mod tables;
pub(super) mod topics;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};

use super::wire::Refusal;
use crate::Result;

/// What a rule has found out.
type Found = Result<Option<Refusal>>;

/// An error of AWS.
#[allow(clippy::unnecessary_wraps, reason = "the end of every check")]
fn refuse(status: u16, code: &str, message: impl Into<String>) -> Found {
    Ok(Some(Refusal::new(status, code, message)))
}

/// The answer, or nothing when the emulator has no such thing.
fn asked<T, E, R>(answer: Result<T, SdkError<E, R>>) -> Result<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(SdkError::ServiceError(error)) if is_absent(error.err().code().unwrap_or_default()) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_absent(code: &str) -> bool {
    ["NotFound", "NoSuchEntity", "NonExistent", "DoesNotExist"].iter().any(|word| code.contains(word))
}
