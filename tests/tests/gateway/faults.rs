//! Each act of a fault, as an SDK client sees it.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::FutureExt as _;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Hold, When};
use sumu_tests::gateway::wire::{Answer, Refusal};
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, Bench, bench, beside};

fn create(act: Act) -> Fault {
    Fault::once(Service::Sqs, "CreateQueue", act)
}

/// Whether a queue is there, asked past the gateway.
async fn exists(name: &str) -> Result<bool> {
    Ok(Client::new(&beside().await?).get_queue_url().queue_name(name).send().await.is_ok())
}

#[tokio::test]
async fn a_dropped_call_does_not_reach_aws() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    bench.gateway.inject(create(Act::Drop));
    let answer = Client::new(&bench.sdk).create_queue().queue_name("dropped").send().await;
    ensure!(matches!(answer, Err(SdkError::DispatchFailure(_))), "{answer:?}");
    ensure!(!exists("dropped").await?, "it reached AWS");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_leaves_what_was_done() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    for (name, act) in [("unanswered", Act::LoseAnswer), ("cut", Act::CutAnswer)] {
        let injected = bench.gateway.inject(create(act));
        let answer = Client::new(&bench.sdk).create_queue().queue_name(name).send().await;
        let is_broken = matches!(answer, Err(SdkError::DispatchFailure(_) | SdkError::ResponseError(_)));
        ensure!(is_broken, "{name}: {answer:?}");
        ensure_eq!(injected.hits(), 1, "hits");
        ensure!(exists(name).await?, "{name} did not reach AWS");
        bench.gateway.mend();
    }
    Ok(())
}

#[tokio::test]
async fn only_the_answer_of_what_was_done_is_lost_when_that_is_wanted() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let injected = bench.gateway.inject(create(Act::LoseSuccess).when(When::Always));
    let client = Client::new(&bench.sdk);
    let refused = client.create_queue().queue_name("refused").attributes(QueueAttributeName::Policy, "").send().await;
    ensure!(matches!(refused, Err(SdkError::ServiceError(_))), "a refusal was lost: {refused:?}");
    let made = client.create_queue().queue_name("made").send().await;
    ensure!(matches!(made, Err(SdkError::DispatchFailure(_))), "{made:?}");
    ensure!(exists("made").await?, "it did not reach AWS");
    ensure_eq!(injected.hits(), 2, "hits");
    Ok(())
}

#[tokio::test]
async fn a_load_balancer_that_got_no_answer_speaks_html() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    bench.gateway.inject(create(Act::gateway_timeout()));
    let answer = Client::new(&bench.sdk).create_queue().queue_name("html").send().await;
    let status = answer.as_ref().err().and_then(|error| error.raw_response()).map(|raw| raw.status().as_u16());
    ensure_eq!(status, Some(504), "the status of {answer:?}");
    ensure!(!exists("html").await?, "it reached AWS");
    Ok(())
}

#[tokio::test]
async fn an_answer_is_rewritten_and_a_call_is_delayed() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let elsewhere = "http://elsewhere.example/1/rewritten";
    bench.gateway.inject(create(Act::rewrite(move |body| body["QueueUrl"] = elsewhere.into())));
    let made = client.create_queue().queue_name("rewritten").send().await?;
    ensure_eq!(made.queue_url.as_deref(), Some(elsewhere), "the URL");

    let delay = std::time::Duration::from_millis(300);
    bench.gateway.inject(Fault::once(Service::Sqs, "GetQueueUrl", Act::Delay(delay)));
    let asked = std::time::Instant::now();
    client.get_queue_url().queue_name("rewritten").send().await?;
    ensure!(asked.elapsed() >= delay, "it was answered after {:?}", asked.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_fault_about_something_spares_the_rest() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let injected = bench.gateway.inject(create(Act::Drop).about("-mine"));
    client.create_queue().queue_name("queue-yours").send().await?;
    ensure_eq!((injected.calls(), injected.hits()), (0, 0), "calls about another");
    ensure!(client.create_queue().queue_name("queue-mine").send().await.is_err(), "it was answered");
    Ok(())
}

#[tokio::test]
async fn what_aws_takes_long_to_show_is_hidden_for_a_time_after_each_change() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let lookup = Calls::Operation(Service::Sqs, "GetQueueUrl");
    let creation = Calls::Operation(Service::Sqs, "CreateQueue");
    let hidden = Act::refuse(400, "QueueDoesNotExist", "The specified queue does not exist.");
    let time = Duration::from_secs(2);
    let injected = bench.gateway.inject(Fault::of(lookup, hidden).after(creation, time));
    bench.gateway.inject(create(Act::refuse(400, "OverLimit", "no")));
    let find = || client.get_queue_url().queue_name("fresh").send();
    ensure!(client.create_queue().queue_name("fresh").send().await.is_err(), "the first create was accepted");
    ensure!(find().await.is_err() && injected.calls() == 0, "it hides what was not made");
    client.create_queue().queue_name("fresh").send().await?;
    ensure!(find().await.is_err(), "it is shown at once");
    ensure_eq!(injected.hits(), 1, "calls that were hidden from");
    eventually(PATIENCE, "the queue to be shown", async || Ok(find().await?)).await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_is_held_until_it_is_released() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let hold = Hold::default();
    bench.gateway.inject(create(Act::Hold(hold.clone())));
    let client = Client::new(&bench.sdk);
    let creation = tokio::spawn(client.create_queue().queue_name("held").send());
    eventually(PATIENCE, "the queue to exist", async || {
        ensure!(exists("held").await?, "it does not");
        Ok(())
    })
    .await?;
    ensure!(!creation.is_finished(), "it was answered");
    hold.release();
    creation.await??;
    Ok(())
}

#[tokio::test]
async fn a_late_call_reaches_aws_when_it_is_released_although_nobody_waits_for_it() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let hold = Hold::default();
    let injected = bench.gateway.inject(create(Act::Late(hold.clone())));
    let creation = tokio::spawn(Client::new(&bench.sdk).create_queue().queue_name("late").send());
    within(PATIENCE, "the call to be held", hold.reached().map(Ok)).await?;
    creation.abort();
    ensure!(creation.await.is_err_and(|error| error.is_cancelled()), "it was answered");
    ensure!(!exists("late").await?, "it reached AWS before it was released");
    hold.release();
    eventually(PATIENCE, "the queue to exist", async || {
        ensure!(exists("late").await?, "it does not");
        Ok(())
    })
    .await?;
    ensure_eq!(injected.hit(), [(Service::Sqs, "CreateQueue".to_owned())], "what was hit");
    Ok(())
}

#[tokio::test]
async fn one_of_several_acts_is_chosen_by_the_seed_and_for_writes_only_when_it_is_theirs() -> Result<()> {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let bench = bench(AT_ONCE).await?;
        let acts = ["One", "Two", "Three"].map(|code| Act::refuse(400, code, ""));
        let when = When::Chance { percent: 100, seed: 7 };
        bench.gateway.inject(Fault::of(Calls::WritesOf(Service::Sqs), Act::one_of(acts)).when(when));
        let client = Client::new(&bench.sdk);
        client.list_queues().send().await.context("a read")?;
        let mut codes = Vec::new();
        for _ in 0..12 {
            let refused = client.create_queue().queue_name("chosen").send().await.err().context("it was answered")?;
            codes.push(refused.code().unwrap_or_default().to_owned());
        }
        runs.push(codes);
    }
    ensure_eq!(runs[0], runs[1], "the choices of one seed");
    for code in ["One", "Two", "Three"] {
        ensure!(runs[0].iter().any(|chosen| chosen == code), "{code} was never chosen: {:?}", runs[0]);
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_hangs_ends_by_the_callers_own_deadline() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    bench.gateway.inject(create(Act::Hang));
    let patience = TimeoutConfig::builder().operation_timeout(Duration::from_millis(300)).build();
    let impatient = Client::new(&bench.sdk.to_builder().timeout_config(patience).build());
    let answer = impatient.create_queue().queue_name("hanging").send().await;
    ensure!(matches!(answer, Err(SdkError::TimeoutError(_))), "{answer:?}");
    ensure!(!exists("hanging").await?, "it reached AWS");
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_is_whole_in_the_end_and_another_can_take_its_place() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    bench.gateway.inject(create(Act::Trickle(Duration::from_millis(1))));
    let made = client.create_queue().queue_name("slow").send().await?;
    ensure!(made.queue_url().is_some_and(|url| url.ends_with("/slow")), "{made:?}");
    bench.gateway.mend();
    bench.gateway.inject(create(Act::Replace(Answer::gateway_timeout())));
    let answer = client.create_queue().queue_name("replaced").send().await;
    let status = answer.as_ref().err().and_then(|error| error.raw_response()).map(|raw| raw.status().as_u16());
    ensure_eq!(status, Some(504), "the status of {answer:?}");
    ensure!(exists("replaced").await?, "it did not reach AWS");
    Ok(())
}

#[tokio::test]
async fn a_stale_read_is_answered_as_before_the_fault() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let queue = client.create_queue().queue_name("stale").send().await?.queue_url().unwrap_or_default().to_owned();
    let name = QueueAttributeName::VisibilityTimeout;
    let timeout = async || -> Result<Option<String>> {
        let asked = client.get_queue_attributes().queue_url(&queue).attribute_names(name.clone());
        Ok(asked.send().await?.attributes().and_then(|all| all.get(&name)).cloned())
    };
    ensure_eq!(timeout().await?.as_deref(), Some("30"), "by default");
    let reads = Calls::Operation(Service::Sqs, "GetQueueAttributes");
    let injected = bench.gateway.inject(Fault::of(reads, Act::Stale).when(When::EveryOther));
    client.set_queue_attributes().queue_url(&queue).attributes(name.clone(), "31").send().await?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(timeout().await?.unwrap_or_default());
    }
    ensure_eq!(seen, ["30", "31", "30", "31"], "while every other read is stale");
    injected.end();
    ensure_eq!(timeout().await?.as_deref(), Some("31"), "after the fault");
    Ok(())
}

#[tokio::test]
async fn a_fault_of_one_caller_spares_the_others_and_all_are_seen() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let other = Credentials::new("another", "secret", None, None, "test");
    let other = bench.sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(other)).build();
    bench.gateway.inject(Fault::of(Calls::Writes, Act::refuse(403, "AccessDenied", "no")).by("another"));
    Client::new(&bench.sdk).create_queue().queue_name("queue-by-one").send().await?;
    Client::new(&other).list_queues().send().await?;
    let refused = Client::new(&other).create_queue().queue_name("queue-by-another").send().await;
    ensure!(refused.is_err(), "it was made");
    let seen = bench.gateway.seen("another");
    let seen: Vec<_> = seen.iter().map(|seen| (seen.operation.as_str(), seen.is_read, seen.status)).collect();
    ensure_eq!(seen, [("ListQueues", true, 200), ("CreateQueue", false, 403)], "the calls of another");
    Ok(())
}

/// The numbers of the calls that failed, of twenty.
async fn failed(bench: &Bench) -> Vec<u64> {
    let client = Client::new(&bench.sdk);
    let mut failed = Vec::new();
    for number in 1..=20 {
        if client.list_queues().send().await.is_err() {
            failed.push(number);
        }
    }
    failed
}

#[tokio::test]
async fn a_fault_hits_the_calls_that_it_says() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let throttled = || Act::refuse(403, "RequestThrottled", "Rate exceeded");
    let fault = |when| Fault::of(Calls::Of(Service::Sqs), throttled()).when(when);
    bench.gateway.inject(fault(When::Calls(3, 5)));
    ensure_eq!(failed(&bench).await, [3, 4, 5], "by number");
    bench.gateway.mend();
    bench.gateway.inject(fault(When::For(std::time::Duration::ZERO)));
    ensure!(failed(&bench).await.is_empty(), "a time that is over");
    bench.gateway.mend();
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let injected = bench.gateway.inject(fault(When::Chance { percent: 50, seed }));
        runs.push(failed(&bench).await);
        ensure_eq!(injected.calls(), 20, "calls that it was for");
        bench.gateway.mend();
    }
    ensure!((1..20).contains(&runs[0].len()), "by chance: {runs:?}");
    ensure_eq!(runs[0], runs[1], "the same seed");
    ensure!(runs[0] != runs[2], "another seed: {runs:?}");
    Ok(())
}

/// Fails unless a service's client reads code, message and status out of a refusal.
macro_rules! understood {
    ($bench:expr, $service:expr, $operation:literal, $call:expr, $code:literal, $shown:literal) => {{
        let refusal = Refusal::new(400, $code, "said <&> so");
        let fault = Fault::once($service, $operation, Act::Refuse(refusal));
        $bench.gateway.inject(fault);
        let error = $call.send().await.err().context(concat!($operation, " was answered"))?;
        let told = (error.code(), error.message(), error.raw_response().map(|raw| raw.status().as_u16()));
        ensure_eq!(told, (Some($shown), Some("said <&> so"), Some(400)), "{}", $operation);
    }};
}

#[tokio::test]
async fn each_service_tells_an_error_in_its_own_form() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let sdk = &bench.sdk;
    let lambda = aws_sdk_lambda::Client::new(sdk);
    let call = lambda.get_policy().function_name("f");
    understood!(bench, Service::Lambda, "GetPolicy", call, "TooManyRequestsException", "TooManyRequestsException");
    let call = lambda.get_function().function_name("f");
    understood!(bench, Service::Lambda, "GetFunction", call, "ResourceNotFoundException", "ResourceNotFoundException");
    let call = aws_sdk_apigatewayv2::Client::new(sdk).get_apis();
    understood!(bench, Service::ApiGateway, "GetApis", call, "ConflictException", "ConflictException");
    let call = aws_sdk_dynamodb::Client::new(sdk).describe_table().table_name("t");
    understood!(bench, Service::DynamoDb, "DescribeTable", call, "ThrottlingException", "ThrottlingException");
    let call = aws_sdk_cloudwatchlogs::Client::new(sdk).delete_log_group().log_group_name("g");
    let service = Service::Logs;
    understood!(bench, service, "DeleteLogGroup", call, "OperationAbortedException", "OperationAbortedException");
    let call = Client::new(sdk).get_queue_url().queue_name("q");
    understood!(
        bench,
        Service::Sqs,
        "GetQueueUrl",
        call,
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue"
    );
    let call = aws_sdk_iam::Client::new(sdk).get_role().role_name("r");
    understood!(bench, Service::Iam, "GetRole", call, "Throttling", "Throttling");
    let call = aws_sdk_sns::Client::new(sdk).list_topics();
    understood!(bench, Service::Sns, "ListTopics", call, "Throttled", "Throttled");
    Ok(())
}
