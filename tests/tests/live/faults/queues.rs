//! SQS shows queues and their attributes late, and keeps the names of deleted queues for a minute.

use std::cell::Cell;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Fault, When};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::condition;
use sumu_tests::{Result, ensure, ensure_eq, eventually};

use super::common::{calls, count, inject, is_whole, says, seen, settled};
use crate::scene::{Scene, scene};

const RECENTLY: &str =
    "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
const ABSENT: &str = "The specified queue does not exist.";

#[test]
#[ignore = "slow: make test-faults"]
fn the_name_of_a_deleted_queue_is_waited_for_and_a_new_stack_needs_none() -> Result<()> {
    scene("recently").resync_seconds(1).play(async |scene| {
        let refused = Act::refuse(400, "QueueDeletedRecently", RECENTLY);
        let time = When::FromTheFirst(Duration::from_secs(10));
        let refused = inject(scene, Fault::of(calls(Service::Sqs, "CreateQueue"), refused).when(time));
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        sqs.delete_queue().queue_url(scene.text("/messages/queueUrl")?).send().await?;
        says(scene, "Messages", "Busy", &["CreateQueue", "QueueDeletedRecently", RECENTLY]).await?;
        scene.ready().await?;
        ensure!((2..=6).contains(&refused.hits()), "{} refusals in ten seconds", refused.hits());
        is_whole(scene).await?;

        let gateway = scene.testbed.aws().gateway();
        let refusals =
            |scene: &Scene| seen(gateway, scene, "CreateQueue").iter().filter(|seen| seen.status >= 300).count();
        let before = refusals(scene);
        scene.delete().await?;
        scene.apply().await?;
        scene.ready().await?;
        ensure_eq!(refusals(scene), before, "queues refused to the new stack of the same name");
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn attributes_that_come_back_old_and_new_by_turns_are_written_once() -> Result<()> {
    scene("stale").resync_seconds(1).play(async |scene| {
        let (reads, writes) = (calls(Service::Sqs, "GetQueueAttributes"), calls(Service::Sqs, "SetQueueAttributes"));
        let fault = Fault::of(reads, Act::Stale).about("-messages-dead-letters").when(When::EveryOther);
        let stale = inject(scene, fault.after(writes, Duration::from_secs(12)));
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let queue = scene.text("/messages/deadLetterQueueUrl")?;
        let changes =
            [(QueueAttributeName::MessageRetentionPeriod, "60"), (QueueAttributeName::VisibilityTimeout, "1")];
        for (number, (attribute, value)) in changes.iter().enumerate() {
            sqs.set_queue_attributes().queue_url(queue).attributes(attribute.clone(), *value).send().await?;
            let (written, hits) = (count(scene, "SetQueueAttributes"), stale.hits());
            ensure_eq!(written, number, "writes before change {number}");
            eventually(PATIENCE, "the change to be undone, and to be seen undone and not by turns", async || {
                let written = count(scene, "SetQueueAttributes");
                ensure!(written > number && stale.hits() >= hits + 3, "{written} writes, {} old reads", stale.hits());
                Ok(())
            })
            .await?;
        }
        ensure_eq!(count(scene, "SetQueueAttributes"), changes.len(), "writes, one a change");
        let found = sqs.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
        let found = found.send().await?.attributes.unwrap_or_default();
        let values = changes.map(|(attribute, _)| found.get(&attribute).cloned().unwrap_or_default());
        ensure_eq!(values, ["1209600", "30"].map(ToOwned::to_owned), "the attributes");
        is_whole(scene).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_operator_that_begins_while_attributes_come_back_old_writes_them_once_more_at_the_most() -> Result<()> {
    scene("forgetful").resync_seconds(1).play(async |scene| {
        let (reads, writes) = (calls(Service::Sqs, "GetQueueAttributes"), calls(Service::Sqs, "SetQueueAttributes"));
        let fault = Fault::of(reads, Act::Stale).about("-messages-dead-letters").when(When::EveryOther);
        let stale = inject(scene, fault.after(writes, Duration::from_secs(20)));
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let change = sqs.set_queue_attributes().queue_url(scene.text("/messages/deadLetterQueueUrl")?);
        change.attributes(QueueAttributeName::MessageRetentionPeriod, "60").send().await?;
        eventually(PATIENCE, "the change to be undone", async || {
            ensure!(count(scene, "SetQueueAttributes") > 0, "nothing was written");
            Ok(())
        })
        .await?;
        scene.kill_operator()?;
        scene.start_operator()?;
        eventually(PATIENCE, "old attributes to be shown again and again", async || {
            ensure!(stale.hits() >= 5, "{} old reads", stale.hits());
            Ok(())
        })
        .await?;
        stale.end();
        is_whole(scene).await?;
        let written = count(scene, "SetQueueAttributes");
        ensure!((1..=2).contains(&written), "{written} writes for one change");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_policy_in_which_iam_shows_an_id_for_a_while_is_told_and_never_written() -> Result<()> {
    scene("lost-role").resync_seconds(1).play(async |scene| {
        let id = "AROAEXAMPLEID12345678";
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": id}, "Action": "sqs:SendMessage", "Resource": "*"},
        ]});
        let shown = Act::rewrite(move |body| body["Attributes"]["Policy"] = policy.to_string().into());
        let reads = calls(Service::Sqs, "GetQueueAttributes");
        let shown = inject(scene, Fault::of(reads, shown).about("-notifications-dead-letters"));
        says(scene, "Notifications", "LostPrincipal", &["queue notifications-dead-letters", id]).await?;
        shown.end();
        // Nothing has changed in the cluster, and the next look is a minute away.
        settled(scene).await?;
        scene.ready().await?;
        ensure!(shown.hits() > 0, "nothing was shown");
        ensure_eq!(count(scene, "SetQueueAttributes"), 0, "writes");
        is_whole(scene).await
    })
}

/// SQS's answer for a queue that does not exist, with the code from when it had forms or without.
fn absent(code: &str, is_compatible: bool) -> Act {
    let body = format!(r#"{{"__type":"{code}","message":"{ABSENT}"}}"#);
    let answer = Answer::new(400, "application/x-amz-json-1.0", body);
    let compatible = "AWS.SimpleQueueService.NonExistentQueue;Sender";
    Act::Reply(if is_compatible { answer.with("x-amzn-query-error", compatible) } else { answer })
}

#[test]
fn a_queue_that_sqs_does_not_show_yet_is_made_once_and_stays_in_the_status() -> Result<()> {
    const TYPED: &str = "com.amazonaws.sqs#QueueDoesNotExist";
    scene("unseen").play_from_the_start(async |scene| {
        let forms = [
            ("-notifications", absent(TYPED, true)),
            ("-messages", absent(TYPED, false)),
            ("-pushes", absent("QueueDoesNotExist", false)),
        ];
        let mut hidden = Vec::new();
        for operation in ["GetQueueUrl", "GetQueueAttributes", "ListQueueTags"] {
            for (about, act) in &forms {
                let fault = Fault::of(calls(Service::Sqs, operation), act.clone()).about(about);
                let fault = fault.after(calls(Service::Sqs, "CreateQueue"), Duration::from_secs(5));
                hidden.push((operation, *about, inject(scene, fault)));
            }
        }
        let message = "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
                       SQS Error Message: The specified queue does not exist.";
        let unknown = Act::refuse(400, "InvalidParameterValueException", message);
        let sources = calls(Service::Lambda, "CreateEventSourceMapping");
        let unknown = inject(scene, Fault::of(sources, unknown).about("arn:aws:sqs:").when(When::Calls(1, 3)));
        scene.apply().await?;
        becomes_ready_without_losing_a_queue(scene).await?;
        scene.ready().await?;
        for (operation, about, hidden) in hidden.iter().filter(|(operation, ..)| *operation == "GetQueueUrl") {
            ensure!(hidden.hits() > 0, "{operation} about {about} hid nothing");
        }
        ensure_eq!(unknown.hits(), 3, "event sources of queues that Lambda did not know");
        ensure_eq!(count(scene, "CreateQueue"), 7, "calls that make queues");
        is_whole(scene).await
    })
}

/// Watches the status on its way: what it has told once stays.
async fn becomes_ready_without_losing_a_queue(scene: &Scene) -> Result<()> {
    let told = Cell::new(0);
    let lost = Cell::new(0);
    let pointers =
        ["/status/notifications/queueUrl", "/status/messages/queueUrl", "/status/messages/deadLetterQueueUrl"];
    scene
        .until("the stack to be Ready", |object| {
            let now = pointers.iter().filter(|pointer| object.pointer(pointer).is_some_and(Value::is_string)).count();
            if now < told.replace(now) {
                lost.set(lost.get() + 1);
            }
            ensure!(condition(object, "Ready").is_some_and(|ready| ready["status"] == "True"), "not Ready");
            Ok(())
        })
        .await?;
    ensure_eq!(lost.get(), 0, "how often the status lost a queue");
    Ok(())
}
