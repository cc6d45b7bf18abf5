//! Roles and their rights take seconds to spread, and IAM's reads show them late.

use std::time::Duration;

use serde_json::json;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Fault, When};
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::common::{calls, count, inject, is_whole, says};
use crate::events::events;
use crate::scene::{names_begin, scene};

/// It is told after two minutes.
const TOLD_WITHIN: Duration = Duration::from_mins(3);

const INVALID: &str = "InvalidParameterValueException";
const NOT_ASSUMABLE: &str = "The role defined for the function cannot be assumed by Lambda.";
const NO_RIGHT: &str = "The function execution role does not have permissions to call ReceiveMessage on SQS";
const NO_STREAM: &str = "Cannot access stream arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s. Please ensure \
                         the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions \
                         on your stream in IAM.";

fn not_assumable() -> Act {
    Act::refuse(400, INVALID, NOT_ASSUMABLE)
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_role_that_lambda_cannot_assume_for_ten_seconds_is_waited_for() -> Result<()> {
    scene("assume").play_from_the_start(async |scene| {
        let creates = calls(Service::Lambda, "CreateFunction");
        let time = When::FromTheFirst(Duration::from_secs(10));
        let fault = Fault::of(creates, not_assumable()).when(time);
        let refused = inject(scene, fault);
        scene.apply().await?;
        says(scene, "Functions", "Propagating", &["CreateFunction", INVALID, NOT_ASSUMABLE]).await?;
        scene.ready().await?;
        // Four functions, asked for every other second at the most: an upload takes a while too.
        ensure!((4..=32).contains(&refused.hits()), "{} refusals in ten seconds", refused.hits());

        let changes = calls(Service::Lambda, "UpdateFunctionConfiguration");
        let refused = inject(scene, Fault::of(changes, not_assumable()).when(When::Calls(1, 8)));
        scene.edit(json!({"functions": {"memoryMiB": 384}})).await?;
        ensure_eq!((refused.hits(), refused.calls()), (8, 12), "changes refused, and changes asked for");
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_role_that_lambda_can_never_assume_is_told_and_once_it_can_the_stack_gets_there() -> Result<()> {
    scene("untrusted").play_from_the_start(async |scene| {
        let refused = inject(scene, Fault::of(calls(Service::Lambda, "CreateFunction"), not_assumable()));
        scene.apply().await?;
        says(scene, "Functions", "Propagating", &[INVALID, NOT_ASSUMABLE]).await?;
        let passes = scene.more_passes(4).await?;
        says(scene, "Functions", "Propagating", &[INVALID, NOT_ASSUMABLE]).await?;
        let writes = passes.last().context("no pass")?.aws_writes;
        ensure_eq!(writes, 4, "writes of a pass when only the functions are missing");
        eventually(TOLD_WITHIN, "an event", async || {
            let events = events(scene).await?;
            let told = events.iter().find(|(reason, ..)| reason == "Warning Propagating").context("there is none")?;
            ensure_eq!(told.1, 1, "how often it was told");
            ensure!(told.2.contains(NOT_ASSUMABLE), "{told:?}");
            Ok(())
        })
        .await?;
        refused.end();
        scene.ready().await?;
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn rights_that_have_not_spread_hold_event_sources_up_until_they_have() -> Result<()> {
    scene("spread").play_from_the_start(async |scene| {
        let creates = calls(Service::Lambda, "CreateEventSourceMapping");
        let refuse = |message: &str, about: &str| {
            let fault = Fault::of(creates, Act::refuse(400, INVALID, message)).about(about);
            inject(scene, fault.when(When::FromTheFirst(Duration::from_secs(8))))
        };
        let refused = [refuse(NO_RIGHT, "arn:aws:sqs:"), refuse(NO_STREAM, "arn:aws:dynamodb:")];
        scene.apply().await?;
        says(scene, "Functions", "Propagating", &["CreateEventSourceMapping", INVALID]).await?;
        scene.ready().await?;
        for refused in refused {
            ensure!((1..=10).contains(&refused.hits()), "{} refusals in eight seconds", refused.hits());
        }
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_right_that_never_spreads_is_told_in_awss_words_and_once_it_does_the_stack_gets_there() -> Result<()> {
    scene("rightless").play_from_the_start(async |scene| {
        let creates = calls(Service::Lambda, "CreateEventSourceMapping");
        let fault = Fault::of(creates, Act::refuse(400, INVALID, NO_RIGHT)).about("arn:aws:sqs:");
        let refused = inject(scene, fault);
        scene.apply().await?;
        says(scene, "Functions", "Propagating", &["CreateEventSourceMapping", INVALID, NO_RIGHT]).await?;
        scene.more_passes(4).await?;
        says(scene, "Functions", "Propagating", &["CreateEventSourceMapping", INVALID, NO_RIGHT]).await?;
        refused.end();
        scene.ready().await?;
        is_whole(scene).await
    })
}

#[test]
fn a_role_that_iam_does_not_show_yet_is_made_once() -> Result<()> {
    scene("unshown").play_from_the_start(async |scene| {
        let hidden = Act::refuse(404, "NoSuchEntity", "The role with name X cannot be found.");
        let fault = Fault::of(calls(Service::Iam, "GetRole"), hidden);
        let hidden = inject(scene, fault.after(calls(Service::Iam, "CreateRole"), Duration::from_secs(6)));
        scene.apply().await?;
        scene.ready().await?;
        ensure!(hidden.hits() >= 4, "{} reads did not show a role", hidden.hits());
        ensure_eq!(count(scene, "CreateRole"), 4, "calls that make roles");
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_arn_that_iam_shows_as_an_id_reaches_no_function_and_no_policy() -> Result<()> {
    scene("aroa").play_from_the_start(async |scene| {
        let shown = Act::rewrite_text(|text| {
            let Some((before, rest)) = text.split_once("<Arn>") else { return text };
            let after = rest.split_once("</Arn>").map_or("", |(_, after)| after);
            format!("{before}<Arn>AROAEXAMPLEID12345678</Arn>{after}")
        });
        let fault = Fault::of(calls(Service::Iam, "GetRole"), shown);
        let shown = inject(scene, fault.after(calls(Service::Iam, "CreateRole"), Duration::from_secs(10)));
        scene.apply().await?;
        scene.ready().await?;
        ensure!(shown.hits() >= 4, "{} reads showed an id", shown.hits());
        ensure_eq!(count(scene, "UpdateFunctionConfiguration"), 0, "changes of functions");
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        for function in ["authorizer", "routes", "pusher", "watchdog"] {
            let name = format!("{}-{function}", names_begin(&scene.status)?);
            let found = lambda.get_function_configuration().function_name(&name).send().await?;
            ensure_eq!(
                found.role(),
                Some(&*format!("arn:aws:iam::000000000000:role/{name}")),
                "the role of {function}"
            );
        }
        is_whole(scene).await
    })
}
