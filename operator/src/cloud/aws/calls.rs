//! Counts the calls as they go out: those of one pass for its log line, and all of the process for its metrics.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::pace::HeldBack;
use super::recent::Recent;
use crate::cloud::error::{cause, classify};
use crate::cloud::{CloudError, Kind};

tokio::task_local! {
    static CALLS: Arc<Calls>;
}

/// What calls are made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody waits for it.
    #[default]
    Change,
    /// To see whether everything is still as it was left. It gives way to others.
    Check,
    /// The same, but what seldom changes is taken as it was last seen.
    Glance,
}

/// How many calls went out.
#[derive(Debug, Default)]
pub struct Calls {
    purpose: Purpose,
    reads: AtomicU32,
    writes: AtomicU32,
}

impl Calls {
    /// What they were made for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Calls that change nothing.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Calls that change something.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }
}

/// What an attempt is counted by. All of it is bounded: the services and operations that are called, and the classes of
/// failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempt {
    service: String,
    operation: String,
    result: &'static str,
}

/// Every call of this process, each attempt of the SDK by itself: a call that was throttled and then succeeded is
/// success to the caller, and a throttle to whoever looks for the account's limits.
#[must_use]
pub fn attempts() -> &'static Family<Attempt, Counter> {
    static ATTEMPTS: LazyLock<Family<Attempt, Counter>> = LazyLock::new(Family::default);
    &ATTEMPTS
}

/// Runs a future and counts the calls that it makes, retries of the SDK included.
pub async fn counted<T>(purpose: Purpose, future: impl Future<Output = T>) -> (T, Arc<Calls>) {
    let calls = Arc::new(Calls { purpose, ..Calls::default() });
    let result = CALLS.scope(Arc::clone(&calls), future).await;
    (result, calls)
}

/// Whether nobody waits for what is being called.
pub(super) fn is_check() -> bool {
    CALLS.try_with(|calls| calls.purpose != Purpose::Change).unwrap_or(false)
}

/// What `read` has told when it was asked for this name last, if this is a glance, and otherwise what it tells now.
pub(super) async fn remembered<T: Clone>(
    known: &Recent<T>,
    name: &str,
    read: impl Future<Output = Result<T, CloudError>>,
) -> Result<T, CloudError> {
    let is_glance = CALLS.try_with(|calls| calls.purpose == Purpose::Glance).unwrap_or(false);
    if is_glance && let Some(value) = known.get(name) {
        return Ok(value);
    }
    let value = read.await?;
    known.put(name, value.clone());
    Ok(value)
}

/// Put into every client.
#[derive(Debug)]
pub(super) struct CallCounter;

#[dyn_dispatch_hint]
impl Intercept for CallCounter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    /// Lets the HTTP client know what is called, for which there is no other way.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(called) = config.load::<Metadata>() {
            context.request_mut().add_extension(called.clone());
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = config.load::<Metadata>().map_or(("", ""), |call| (call.service(), call.name()));
        // Whoever is the first to need credentials would pay for everybody.
        if service == "STS" {
            return Ok(());
        }
        // Calls outside a pass (tests) are counted by nobody.
        let _ = CALLS.try_with(|calls| {
            let count = if is_read(operation) { &calls.reads } else { &calls.writes };
            count.fetch_add(1, Ordering::Relaxed);
        });
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = match config.load::<Metadata>() {
            Some(metadata) => (metadata.service().to_owned(), metadata.name().to_owned()),
            None => return Ok(()),
        };
        let is_success = match context.output_or_error() {
            // It did not go out.
            Some(Err(error)) if error.as_connector_error().is_some_and(|error| cause::<HeldBack>(error).is_some()) => {
                return Ok(());
            }
            outcome => matches!(outcome, Some(Ok(_))),
        };
        let result = if is_success { "Ok" } else { context.response().map_or(Kind::Unreachable, kind).as_str() };
        attempts().get_or_create(&Attempt { service, operation, result }).inc();
        Ok(())
    }
}

/// The class of an answer that is no success. The SDK has read it already, but into a type of each operation's own.
fn kind(response: &HttpResponse) -> Kind {
    let status = response.status().as_u16();
    let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    // SQS tells its old code beside the new one, and the old one is what the SDK goes by. The others tell theirs in a
    // header, in JSON or in XML.
    let code = response
        .headers()
        .get("x-amzn-query-error")
        .and_then(|both| both.split(';').next())
        .or_else(|| response.headers().get("x-amzn-errortype"))
        .or_else(|| between(&body, "\"__type\":\"", "\""))
        .or_else(|| between(&body, "<Code>", "</Code>"))
        .unwrap_or_default();
    // `com.amazonaws.dynamodb#Code:http://…`
    let code = code.split(':').next().unwrap_or_default();
    classify(code.rsplit('#').next().unwrap_or_default(), &body, status)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

pub(super) fn is_read(operation: &str) -> bool {
    ["Get", "List", "Describe", "Simulate"].iter().any(|verb| operation.starts_with(verb))
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// One attempt, for the tests of metrics.
    pub(crate) fn an_attempt() {
        let attempt = Attempt { service: "SQS".into(), operation: "GetQueueUrl".into(), result: "Ok" };
        attempts().get_or_create(&attempt).inc();
    }

    fn answer(status: u16, header: Option<(&'static str, &'static str)>, body: &'static str) -> HttpResponse {
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }

    #[test]
    fn an_answer_has_its_class_in_every_protocol_that_aws_speaks() {
        let sqs = Some(("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"));
        let rest = Some(("x-amzn-errortype", "ResourceNotFoundException:http://internal.amazon.com/coral/"));
        let cases = [
            (answer(400, sqs, r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}"#), Kind::NotFound),
            (answer(404, rest, r#"{"Message":"Function not found"}"#), Kind::NotFound),
            (
                answer(400, None, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#),
                Kind::Throttled,
            ),
            (
                answer(403, None, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
                Kind::Denied,
            ),
            (answer(429, None, ""), Kind::Throttled),
            (answer(503, None, "<html>"), Kind::Internal),
        ];
        for (answer, expected) in cases {
            assert_eq!(kind(&answer), expected, "{answer:?}");
        }
    }
}
