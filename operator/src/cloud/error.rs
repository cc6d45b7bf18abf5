//! What can go wrong with a call to AWS, in classes that say what to do about it.
//!
//! The class comes from the service's error code, and from the message only where AWS uses one code for several
//! things. Request ids never get in here: a condition that named one would change at every pass.

use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::aws::HeldBack;

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The resource does not exist.
    NotFound,
    /// It exists already. After a create that is progress: the next look will find it.
    AlreadyExists,
    /// AWS has not yet spread something that was just made, usually a role.
    Propagating,
    /// AWS is at work on the resource.
    Busy,
    /// Too many calls.
    Throttled,
    /// No answer, or one that cannot be read.
    Unreachable,
    /// An error of AWS's own.
    Internal,
    /// The operator lacks a right, or its credentials are not valid.
    Denied,
    /// A limit of the account.
    Quota,
    /// A setting of the account is missing that only a person makes.
    Unprepared,
    /// AWS will never accept this call.
    Rejected,
}

impl Kind {
    /// All classes.
    pub const ALL: [Self; 11] = [
        Self::NotFound,
        Self::AlreadyExists,
        Self::Propagating,
        Self::Busy,
        Self::Throttled,
        Self::Unreachable,
        Self::Internal,
        Self::Denied,
        Self::Quota,
        Self::Unprepared,
        Self::Rejected,
    ];

    /// The word in conditions and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Propagating => "Propagating",
            Self::Busy => "Busy",
            Self::Throttled => "Throttled",
            Self::Unreachable => "Unreachable",
            Self::Internal => "InternalError",
            Self::Denied => "AccessDenied",
            Self::Quota => "QuotaExceeded",
            Self::Unprepared => "ActionRequired",
            Self::Rejected => "Rejected",
        }
    }

    /// Whether it usually passes by itself within seconds.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::NotFound
            | Self::AlreadyExists
            | Self::Propagating
            | Self::Busy
            | Self::Throttled
            | Self::Unreachable
            | Self::Internal => true,
            Self::Denied | Self::Quota | Self::Unprepared | Self::Rejected => false,
        }
    }
}

/// A call to AWS failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CloudError {
    /// The call, for example `CreateTable`.
    pub operation: &'static str,
    /// The resource that it was about.
    pub resource: String,
    /// The class.
    pub kind: Kind,
    /// The service's error code; empty when there was no answer.
    pub code: String,
    /// The service's message, or what stood in the way of an answer.
    pub message: String,
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, resource, kind: _, code, message } = self;
        f.write_str(operation)?;
        if !resource.is_empty() {
            write!(f, " {resource}")?;
        }
        f.write_str(": ")?;
        if !code.is_empty() {
            write!(f, "{code}: ")?;
        }
        f.write_str(message)
    }
}

/// The parts of an `SdkError` that we need, whatever the operation.
pub(super) trait Failure {
    fn classify(&self) -> (Kind, String, String);
}

impl<E: ProvideErrorMetadata> Failure
    for aws_smithy_runtime_api::client::result::SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>
{
    fn classify(&self) -> (Kind, String, String) {
        use aws_smithy_runtime_api::client::result::SdkError;
        match self {
            SdkError::ConstructionFailure(_) => {
                (Kind::Rejected, String::new(), "the SDK could not build the request".into())
            }
            SdkError::TimeoutError(_) => (Kind::Unreachable, String::new(), "no answer in time".into()),
            SdkError::DispatchFailure(failure) => {
                let connector = failure.as_connector_error();
                if let Some(held_back) = connector.and_then(|error| cause::<HeldBack>(error)) {
                    return (Kind::Throttled, "HeldBack".into(), held_back.to_string());
                }
                let cause = connector.map(|error| chain(error)).unwrap_or_default();
                if let Some(kind) = connector.and_then(|error| lack_of_credentials(error)) {
                    return (kind, String::new(), format!("no credentials: {cause}"));
                }
                (Kind::Unreachable, String::new(), format!("no connection: {cause}"))
            }
            SdkError::ResponseError(_) => (Kind::Unreachable, String::new(), "the answer could not be read".into()),
            SdkError::ServiceError(error) => {
                let code = error.err().code().unwrap_or_default().to_owned();
                let status = error.raw().status().as_u16();
                let message = match error.err().message() {
                    Some(message) => without_request_id(message),
                    None if code.is_empty() => format!("an answer of status {status} that could not be read"),
                    None => "no message".to_owned(),
                };
                (classify(&code, &message, status), code, message)
            }
            _ => (Kind::Internal, String::new(), "unknown failure".into()),
        }
    }
}

/// Why credentials could not be had, which the SDK reports as a failure to connect; nothing for every other failure.
fn lack_of_credentials(error: &(dyn std::error::Error + 'static)) -> Option<Kind> {
    let lack = cause::<CredentialsError>(error)?;
    // A role that could not be assumed has its own reason.
    let lack: &dyn std::error::Error = lack;
    Some(lack.source().and_then(|cause| cause.downcast_ref::<CloudError>()).map_or(Kind::Denied, |error| error.kind))
}

/// The first of an error and its causes that is of a type.
pub(super) fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|cause| cause.downcast_ref())
}

/// Some of AWS's messages hold the id of the request: `(…; Request ID: 6f0c…; Proxy: null)`. With it a condition would
/// change at every pass.
pub(super) fn without_request_id(message: &str) -> String {
    let Some((before, after)) = message.split_once("Request ID: ") else { return message.to_owned() };
    let rest = after.find([';', ')', ',', ' ']).map_or("", |end| &after[end..]);
    format!("{before}Request ID: …{rest}")
}

/// An error with its causes in one line, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

/// The class of a service's error.
pub(super) fn classify(code: &str, message: &str, status: u16) -> Kind {
    by_message(code, message).or_else(|| by_code(code)).unwrap_or_else(|| by_status(code, status))
}

/// Of codes that stand for several things, those that the message tells apart.
fn by_message(code: &str, message: &str) -> Option<Kind> {
    let kind = match code {
        // Somebody has attached a policy of their own, which only they may take away.
        "DeleteConflict" if says(message, &["must detach"]) => Kind::Rejected,
        // One code for "is there" and for "is being changed"; DynamoDB's "already enabled", which is what we wanted; a
        // topic or a subscription that a look did not show yet.
        "ResourceConflictException"
        | "ConflictException"
        | "ResourceInUseException"
        | "ValidationException"
        | "InvalidParameter"
            if says(message, &ALREADY) =>
        {
            Kind::AlreadyExists
        }
        "InvalidChangeBatch" if says(message, &["already exists"]) => Kind::AlreadyExists,
        "InvalidChangeBatch" if says(message, &["not found"]) => Kind::NotFound,
        // A cool-down of up to an hour.
        "ValidationException" if says(message, &["multiple times within a fixed interval"]) => Kind::Quota,
        "InvalidParameterValueException" | "InvalidParameterValue" if says(message, &PROPAGATING) => Kind::Propagating,
        "MalformedPolicyDocument" if says(message, &["Invalid principal"]) => Kind::Propagating,
        "LimitExceededException" if says(message, &["simultaneously", "being updated"]) => Kind::Busy,
        // Access logs of a stage, in an account in which API Gateway has no role to write logs with.
        "BadRequestException" if says(message, &["CloudWatch Logs role ARN must be set"]) => Kind::Unprepared,
        _ => return None,
    };
    Some(kind)
}

fn by_code(code: &str) -> Option<Kind> {
    let kind = match code {
        "ResourceNotFoundException"
        | "NotFoundException"
        | "TableNotFoundException"
        | "NoSuchEntity"
        | "NoSuchEntityException"
        | "NotFound"
        | "ResourceNotFound"
        | "NoSuchHostedZone"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue" => Kind::NotFound,
        "EntityAlreadyExists" | "ResourceAlreadyExistsException" | "QueueAlreadyExists" | "QueueNameExists" => {
            Kind::AlreadyExists
        }
        "ResourceConflictException"
        | "ConflictException"
        | "ResourceInUseException"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable"
        | "OperationAbortedException"
        | "ContinuousBackupsUnavailableException"
        | "AWS.SimpleQueueService.QueueDeletedRecently"
        | "QueueDeletedRecently"
        | "DeleteConflict"
        | "PriorRequestNotComplete"
        | "ConcurrentAccess"
        | "StaleTag" => Kind::Busy,
        "LimitExceededException"
        | "LimitExceeded"
        | "CodeStorageExceededException"
        | "PolicyLengthExceededException"
        | "ServiceQuotaExceededException"
        | "OverLimit"
        | "TopicLimitExceeded"
        | "SubscriptionLimitExceeded"
        | "FilterPolicyLimitExceeded"
        | "TagLimitExceeded" => Kind::Quota,
        // SQS throttles with 403, so the code comes before the status.
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "Throttled"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "ProvisionedThroughputExceededException"
        | "SlowDown" => Kind::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => Kind::Unreachable,
        _ if DENIED.contains(&code) => Kind::Denied,
        _ => return None,
    };
    Some(kind)
}

fn by_status(code: &str, status: u16) -> Kind {
    match status {
        429 => Kind::Throttled,
        401 | 403 => Kind::Denied,
        500.. => Kind::Internal,
        // AWS always names its errors: this came from something on the way, or in part.
        _ if code.is_empty() => Kind::Unreachable,
        _ => Kind::Rejected,
    }
}

/// No right, no valid credentials, or a clock that is wrong. Some services say the last two with 400.
const DENIED: [&str; 18] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

const ALREADY: [&str; 4] =
    ["already exist", "is already enabled", "is already disabled", "already has an enabled stream"];

/// What Lambda says while a role or its policy has not spread, seven to ten seconds after it was made.
const PROPAGATING: [&str; 7] = [
    "cannot be assumed",
    "does not have permissions",
    "ensure the role can perform",
    "rusted Entity",
    "Stream not found",
    "Function does not exist",
    "NonExistentQueue",
];

fn says(message: &str, fragments: &[&str]) -> bool {
    fragments.iter().any(|fragment| message.contains(fragment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_stay_out_of_messages() {
        let message = "The role cannot be assumed (Service: Kms; Status Code: 400; Request ID: 6f0c-1; Proxy: null)";
        let expected = "The role cannot be assumed (Service: Kms; Status Code: 400; Request ID: …; Proxy: null)";
        assert_eq!(without_request_id(message), expected);
        assert_eq!(without_request_id("Rate exceeded"), "Rate exceeded");
    }

    /// Codes, messages and statuses as recorded from AWS.
    #[test]
    fn aws_answers_fall_into_the_class_that_says_what_to_do() {
        let cases = [
            (
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
                400,
                Kind::Propagating,
            ),
            (
                "InvalidParameterValueException",
                "Unzipped size must be smaller than 262144000 bytes",
                400,
                Kind::Rejected,
            ),
            ("ResourceConflictException", "Function already exist: f", 409, Kind::AlreadyExists),
            (
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress for resource: arn",
                409,
                Kind::Busy,
            ),
            ("ResourceInUseException", "Table already exists: t", 400, Kind::AlreadyExists),
            (
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being created: t",
                400,
                Kind::Busy,
            ),
            (
                "ConflictException",
                "Unable to complete operation due to concurrent modification. Please try again later.",
                409,
                Kind::Busy,
            ),
            ("ValidationException", "TimeToLive is already enabled", 400, Kind::AlreadyExists),
            (
                "ValidationException",
                "Time to live has been modified multiple times within a fixed interval",
                400,
                Kind::Quota,
            ),
            ("RequestThrottled", "Request is throttled.", 403, Kind::Throttled),
            ("Throttling", "Rate exceeded", 400, Kind::Throttled),
            ("LimitExceededException", "Resource limit exceeded.", 400, Kind::Quota),
            ("LimitExceededException", "Table tags are being updated", 400, Kind::Busy),
            ("AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds", 400, Kind::Busy),
            ("DeleteConflict", "Cannot delete entity, must delete policies first.", 409, Kind::Busy),
            ("DeleteConflict", "Cannot delete entity, must detach all policies first.", 409, Kind::Rejected),
            ("AccessDeniedException", "User is not authorized", 403, Kind::Denied),
            ("InternalFailure", "", 500, Kind::Internal),
            ("BadRequestException", "Invalid stage identifier specified", 400, Kind::Rejected),
            (
                "BadRequestException",
                "CloudWatch Logs role ARN must be set in account settings to enable logging",
                400,
                Kind::Unprepared,
            ),
            (
                "ContinuousBackupsUnavailableException",
                "Backups are being enabled for the table: t. Please retry later",
                400,
                Kind::Busy,
            ),
            ("TableNotFoundException", "Table not found: t", 400, Kind::NotFound),
        ];
        for (code, message, status, kind) in cases {
            assert_eq!(classify(code, message, status), kind, "{code}: {message}");
        }
    }

    /// Codes that other services say with another status, and answers that are not AWS's.
    #[test]
    fn limits_clocks_and_nameless_errors_are_no_refusals() {
        let cases = [
            ("TopicLimitExceeded", "Topic limit exceeded", 403, Kind::Quota),
            ("OverLimit", "The specified action violates a limit", 403, Kind::Quota),
            ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409, Kind::Quota),
            (
                "InvalidParameter",
                "Invalid parameter: Tags Reason: Topic already exists with different tags",
                400,
                Kind::AlreadyExists,
            ),
            ("InvalidParameter", "Invalid parameter: Topic Name", 400, Kind::Rejected),
            ("Throttled", "Rate exceeded", 429, Kind::Throttled),
            ("ConcurrentAccess", "Another tagging operation is in progress", 400, Kind::Busy),
            ("PriorRequestNotComplete", "The request was rejected", 400, Kind::Busy),
            ("NoSuchHostedZone", "No hosted zone found with ID: Z1", 404, Kind::NotFound),
            (
                "InvalidChangeBatch",
                "Tried to create resource record set [a] but it already exists",
                400,
                Kind::AlreadyExists,
            ),
            ("InvalidChangeBatch", "Tried to delete resource record set [a] but it was not found", 400, Kind::NotFound),
            ("InvalidChangeBatch", "RRSet with DNS name a. is not permitted in zone b.", 400, Kind::Rejected),
            ("ExpiredTokenException", "The security token included in the request is expired", 400, Kind::Denied),
            ("InvalidSignatureException", "Signature not yet current", 400, Kind::Denied),
            ("RequestTimeTooSkewed", "The difference between the request time is too large", 400, Kind::Denied),
            ("", "", 503, Kind::Internal),
            ("", "", 403, Kind::Denied),
            ("", "an answer of status 200 that could not be read", 200, Kind::Unreachable),
            ("", "an answer of status 404 that could not be read", 404, Kind::Unreachable),
        ];
        for (code, message, status, kind) in cases {
            assert_eq!(classify(code, message, status), kind, "{code}: {message}");
        }
    }
}
