//! What the noise is made of: each service's own errors, and what networks do.

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected, When};
use sumu_tests::gateway::wire::Answer;

use crate::scene::Scene;

/// How many of a hundred calls fail.
const PERCENT: u32 = 2;

/// How a service refuses a call that would have been right at another time: status, code and message.
type Refused = (u16, &'static str, &'static str);

/// A service's throttle, its own failure, and what it says when something else is at work on the same thing.
const WAYS: [(Service, Refused, Refused, &[Refused]); 8] = [
    (
        Service::ApiGateway,
        (429, "TooManyRequestsException", "Too Many Requests"),
        (500, "InternalServerErrorException", "Internal server error"),
        &[(
            409,
            "ConflictException",
            "Unable to complete operation due to concurrent modification. Please try again later.",
        )],
    ),
    (
        Service::Lambda,
        (429, "TooManyRequestsException", "Rate exceeded"),
        (500, "ServiceException", "An error occurred and the request cannot be processed."),
        &[(
            409,
            "ResourceConflictException",
            "The operation cannot be performed at this time. An update is in progress for resource: arn",
        )],
    ),
    (
        Service::DynamoDb,
        (400, "ThrottlingException", "Rate of requests exceeds the allowed throughput."),
        (500, "InternalServerError", "The request processing has failed because of an unknown error"),
        &[
            (
                400,
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being updated",
            ),
            (400, "LimitExceededException", "Table tags are being updated"),
        ],
    ),
    (Service::Sqs, (403, "RequestThrottled", "Request is throttled."), (500, "InternalFailure", ""), &[]),
    (
        Service::Logs,
        (400, "ThrottlingException", "Rate exceeded"),
        (500, "InternalFailure", ""),
        &[(
            400,
            "OperationAbortedException",
            "A conflicting operation is currently in progress against this resource. Please try again.",
        )],
    ),
    (
        Service::Iam,
        (400, "Throttling", "Rate exceeded"),
        (500, "ServiceFailure", ""),
        &[
            (409, "ConcurrentModification", "The request was rejected because multiple requests to change this object"),
            (409, "EntityTemporarilyUnmodifiable", "The entity is temporarily unmodifiable."),
        ],
    ),
    (
        Service::Sns,
        (429, "Throttled", "Rate exceeded"),
        (500, "InternalError", ""),
        &[(
            400,
            "ConcurrentAccess",
            "Can't perform multiple operations on a tag. Perform the operations sequentially.",
        )],
    ),
    (Service::Sts, (400, "Throttling", "Rate exceeded"), (500, "InternalFailure", ""), &[]),
];

/// The faults of one scene.
pub struct Noise(Vec<Injected>);

impl Noise {
    /// Begins to make noise for a scene's operator.
    pub fn begin(scene: &Scene, seed: u64) -> Self {
        let mut injected = Vec::new();
        for (at, (service, throttle, failure, conflicts)) in (0..).zip(WAYS) {
            let reads = [throttle, failure].map(refuse).into_iter().chain(wires());
            let reads: Vec<Act> = reads.collect();
            // Nothing is in a read's way.
            let writes = reads.iter().cloned().chain(conflicts.iter().copied().map(refuse)).collect();
            for (calls, acts, which) in [(Calls::ReadsOf(service), reads, 0), (Calls::WritesOf(service), writes, 1)] {
                let seed = seed.wrapping_mul(31).wrapping_add(2 * at + which);
                let when = When::Chance { percent: PERCENT, seed };
                let fault = Fault::of(calls, Act::one_of(acts)).by(scene.key()).when(when);
                injected.push(scene.testbed.aws().gateway().inject(fault));
            }
        }
        Self(injected)
    }

    /// Ends it, and says how many calls were hit.
    pub fn end(self) -> u64 {
        self.0.iter().for_each(Injected::end);
        self.0.iter().map(Injected::hits).sum()
    }
}

fn refuse((status, code, message): Refused) -> Act {
    Act::refuse(status, code, message)
}

/// What can become of every call on its way there, and on its way back when it was made.
fn wires() -> [Act; 5] {
    let unavailable = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>";
    [
        Act::Reply(Answer::new(503, "application/json", unavailable)),
        Act::Drop,
        Act::LoseAnswer,
        Act::Replace(Answer::gateway_timeout()),
        Act::CutAnswer,
    ]
}
