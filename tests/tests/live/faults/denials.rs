//! Credentials that have expired, and rights that are missing for a while: also while a stack is deleted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Injected, When};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::stack::{SETTLED_WITHIN, Stack, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::common::ensure_says;
use super::whole::{ask_for_a_look, becomes_whole, inject, inject_one, told};
use crate::assumed::role;
use crate::scene::{Scene, complete_total, scene, total};

const EXPIRED: &str = "The security token included in the request is expired";
const DENIED: &str = "User: arn:aws:sts::000000000000:assumed-role/sumu/s is not authorized to perform this";

/// The services, a read that every look makes, and how each says that it is not allowed.
const READS: [(Service, &str, u16, &str); 7] = [
    (Service::ApiGateway, "GetApis", 403, "AccessDeniedException"),
    (Service::Lambda, "GetFunction", 403, "AccessDeniedException"),
    (Service::DynamoDb, "DescribeTable", 400, "AccessDeniedException"),
    (Service::Sqs, "GetQueueAttributes", 403, "AccessDenied"),
    (Service::Logs, "DescribeLogGroups", 400, "AccessDeniedException"),
    (Service::Iam, "GetRole", 403, "AccessDenied"),
    (Service::Sns, "ListTagsForResource", 403, "AuthorizationError"),
];

/// Expired credentials in the three forms in which services say it.
fn expired() -> [(Service, &'static str, Act); 3] {
    let typed = format!(r#"{{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"{EXPIRED}"}}"#);
    [
        (Service::Lambda, "ExpiredTokenException", Act::refuse(403, "ExpiredTokenException", EXPIRED)),
        (Service::DynamoDb, "ExpiredTokenException", Act::Reply(Answer::new(400, "application/x-amz-json-1.0", typed))),
        (Service::Iam, "ExpiredToken", Act::refuse(403, "ExpiredToken", EXPIRED)),
    ]
}

#[test]
#[ignore = "slow: make test-faults"]
fn credentials_that_expire_are_told_and_new_ones_need_no_restart() -> Result<()> {
    scene("expired").play(async |scene| {
        let endpoint = scene.status["endpoint"].clone();
        for (service, code, act) in expired() {
            let fault = inject(scene, Calls::Of(service), When::Always, act);
            ask_for_a_look(scene).await?;
            let object = told(scene, "Ready", "AccessDenied", &[code, EXPIRED]).await?;
            ensure_eq!(condition(&object, "Ready").context("no Ready")?["status"], "Unknown", "status of Ready");
            ensure_eq!(object["status"]["endpoint"], endpoint, "what was known before");
            let denied = fault.hits();
            ensure!((1..=8).contains(&denied), "{} was hit {denied} times", service.name());
            fault.end();
            // By itself: nobody asks for a look.
            becomes_whole(scene, 0).await?;
        }
        Ok(())
    })
}

#[test]
fn a_stack_whose_reads_are_denied_is_never_let_go() -> Result<()> {
    scene("denied").play(async |scene| {
        let deny = |scene: &Scene, at: usize| -> Injected {
            let (service, operation, status, code) = READS[at];
            inject_one(scene, service, operation, When::Always, Act::refuse(status, code, DENIED))
        };
        let mut fault = deny(scene, 0);
        scene.stack.delete().await?;
        for (at, (service, operation, _, code)) in READS.into_iter().enumerate() {
            ask_for_a_look(scene).await?;
            let object = told(scene, "Ready", "AccessDenied", &[operation, code, DENIED, "finalizer"]).await?;
            ensure!(has_finalizer(&object), "it was let go when {} was denied", service.name());
            let there = total(&scene.inventory().await?);
            ensure_eq!(there, complete_total(), "what is there when {} was denied", service.name());
            ensure!(fault.hits() > 0, "{operation} was not hit");
            // The next one begins before this one ends, so that there is no moment in which all is allowed.
            let next = (at + 1 < READS.len()).then(|| deny(scene, at + 1));
            fault.end();
            if let Some(next) = next {
                fault = next;
            }
        }
        ask_for_a_look(scene).await?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_stack_whose_calls_are_denied_in_the_middle_of_its_deletion_goes_when_they_are_allowed() -> Result<()> {
    scene("halfway").play(async |scene| {
        let mut faults = Vec::new();
        for (service, _, status, code) in READS {
            // What is there says so once the deletion has begun, and nothing is allowed any more from then on.
            let when = When::Calls(if service == Service::ApiGateway { 20 } else { 30 }, u64::MAX);
            faults.push(inject(scene, Calls::Of(service), when, Act::refuse(status, code, DENIED)));
        }
        scene.stack.delete().await?;
        let object = told(scene, "Ready", "AccessDenied", &[DENIED]).await?;
        ensure!(has_finalizer(&object), "it was let go");
        let left = total(&scene.inventory().await?);
        println!("{left} of {} things are left", complete_total());
        ensure!(left > 0, "nothing is left, so nothing was denied in time");
        for fault in &faults {
            fault.end();
        }
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

fn has_finalizer(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_role_that_may_not_be_assumed_is_told_asked_for_once_a_minute_and_works_once_it_may() -> Result<()> {
    scene("unassumed").spec(role()).play_from_the_start(async |scene| {
        let refuse = Act::refuse(403, "AccessDenied", DENIED);
        let fault = inject_one(scene, Service::Sts, "AssumeRole", When::Always, refuse);
        let began = Instant::now();
        scene.apply().await?;
        // Each change of the spec is a reason to try again at once, and hears the same.
        for memory in [320, 384, 448] {
            scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": memory}}})).await?;
            scene
                .until("the refusal to be told", |object| {
                    ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "generation");
                    ensure_says(object, "Ready", "AccessDenied", &["AssumeRole", "another-team", DENIED])
                })
                .await?;
        }
        let (asked, minutes) = (fault.hits(), began.elapsed().as_secs() / 60);
        ensure!((1..=1 + minutes).contains(&asked), "asked {asked} times in {minutes} minutes");
        ensure!(scene.inventory().await?.is_empty(), "something was made without the role");
        fault.end();
        // It may be asked for in a minute only, and the operator looks ever more seldom.
        scene.stack.ready_within(Duration::from_mins(4)).await?;
        becomes_whole(scene, 0).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn ten_stacks_with_refused_credentials_ask_sts_once_a_minute_between_them_and_get_there_once_they_are_good()
-> Result<()> {
    const INVALID: &str = "The security token included in the request is invalid.";
    scene("tenrefused").play_from_the_start(async |scene| {
        let refuse = Act::refuse(403, "InvalidClientTokenId", INVALID);
        let fault = inject_one(scene, Service::Sts, "GetCallerIdentity", When::Always, refuse);
        let began = Instant::now();
        let mut all = Vec::new();
        for number in 1..10 {
            let mut manifest = scene.manifest().clone();
            manifest["metadata"]["name"] = format!("other-{number}").into();
            all.push(Stack::apply(scene.testbed, &manifest).await?);
        }
        scene.apply().await?;
        all.push(scene.stack.clone());
        // Each change of the spec is a reason to try again at once, and hears the same.
        for memory in [320, 384, 448] {
            for stack in &all {
                stack.patch(&json!({"spec": {"functions": {"memoryMiB": memory}}})).await?;
            }
            for stack in &all {
                eventually(SETTLED_WITHIN, "the refusal to be told", async || {
                    let object = stack.object().await?;
                    ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "generation");
                    ensure_says(&object, "Ready", "AccessDenied", &["GetCallerIdentity", INVALID])
                })
                .await?;
            }
        }
        let (asked, minutes) = (fault.hits(), began.elapsed().as_secs() / 60);
        ensure!((1..=1 + minutes).contains(&asked), "asked {asked} times in {minutes} minutes");
        ensure!(scene.inventory().await?.is_empty(), "something was made without credentials");
        all.pop();
        for other in all {
            other.delete().await?;
            other.gone().await?;
        }
        fault.end();
        scene.stack.ready_within(Duration::from_mins(4)).await?;
        becomes_whole(scene, 0).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn rights_that_are_missing_in_several_services_are_told_together() -> Result<()> {
    scene("several").play_from_the_start(async |scene| {
        let denied = [READS[1], READS[3], READS[5]];
        let faults = denied.map(|(service, operation, status, code)| {
            inject_one(scene, service, operation, When::Always, Act::refuse(status, code, DENIED))
        });
        let found =
            inject_one(scene, Service::Sqs, "GetQueueUrl", When::Always, Act::refuse(403, "AccessDenied", DENIED));
        scene.apply().await?;
        let words = ["GetQueueUrl", DENIED, "denied too: GetRole, GetFunction"];
        let object = told(scene, "Ready", "AccessDenied", &words).await?;
        let message = condition(&object, "Ready").context("no Ready")?["message"].clone();
        // The next look says the same, word for word: no condition changes for nothing.
        scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": 320}}})).await?;
        let object = scene
            .until("the next look", |object| {
                ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "generation");
                Ok(())
            })
            .await?;
        ensure_eq!(condition(&object, "Ready").context("no Ready")?["message"], message, "what it says");
        ensure!(scene.inventory().await?.is_empty(), "something was made");
        faults.iter().chain([&found]).for_each(Injected::end);
        becomes_whole(scene, 0).await
    })
}
