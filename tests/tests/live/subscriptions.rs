//! Subscriptions that the spec asks for: what clients publish arrives, and nothing of them is left that is not wanted.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_operator::permissions::Needs;
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::backend::Inbox;
use sumu_tests::client::Client;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault};
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::permissions::{limit, limit_with};
use crate::scene::{Scene, scene, text};
use crate::totals::READS_MAX;

/// What a scene has outside its stack.
struct Outside {
    topics: aws_sdk_sns::Client,
    queues: aws_sdk_sqs::Client,
    functions: aws_sdk_lambda::Client,
}

impl Outside {
    async fn of(scene: &Scene) -> Self {
        let sdk = scene.sdk().await;
        Self {
            topics: aws_sdk_sns::Client::new(&sdk),
            queues: aws_sdk_sqs::Client::new(&sdk),
            functions: aws_sdk_lambda::Client::new(&sdk),
        }
    }

    /// A user's queue that lets every topic of the account send; its URL and its ARN.
    async fn queue(&self, name: &str) -> Result<(String, String)> {
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }]});
        let call = self.queues.create_queue().queue_name(name);
        let call = call.attributes(QueueAttributeName::Policy, policy.to_string());
        Ok((call.send().await?.queue_url.context("no URL")?, arn))
    }

    /// The subscriptions of a topic: where they lead, and their ARNs or why they have none.
    async fn subscriptions(&self, topic: &str) -> Result<Vec<(String, String)>> {
        let listed = self.topics.list_subscriptions_by_topic().topic_arn(topic).send().await?;
        let mut found: Vec<(String, String)> = listed
            .subscriptions
            .unwrap_or_default()
            .into_iter()
            .map(|found| (found.endpoint.unwrap_or_default(), found.subscription_arn.unwrap_or_default()))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    async fn attribute(&self, subscription: &str, name: &str) -> Result<Option<String>> {
        let answer = self.topics.get_subscription_attributes().subscription_arn(subscription).send().await?;
        Ok(answer.attributes.and_then(|mut attributes| attributes.remove(name)))
    }

    /// The keys of a topic's tags that are ours and note something.
    async fn notes(&self, topic: &str) -> Result<Vec<String>> {
        let tags = self.topics.list_tags_for_resource().resource_arn(topic).send().await?.tags.unwrap_or_default();
        Ok(tags.into_iter().map(|tag| tag.key).filter(|key| key.contains("subscriptions")).collect())
    }

    /// The ids of the statements of a function's policy. AWS has none where there is no statement.
    async fn statements(&self, function: &str) -> Vec<String> {
        let answer = self.functions.get_policy().function_name(function).send().await.ok();
        let policy = answer.and_then(|answer| answer.policy).unwrap_or_default();
        let policy: Value = serde_json::from_str(&policy).unwrap_or_default();
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        statements.iter().filter_map(|statement| statement["Sid"].as_str().map(ToOwned::to_owned)).collect()
    }
}

/// What a client says, so that it is found in a log.
async fn publish(client: &mut Client, word: &str) -> Result<()> {
    let reply = client.ask(&json!({"action": "publish", "message": word})).await?;
    ensure_eq!(reply["statusCode"], json!(202), "the reply to {word}: {reply}");
    Ok(())
}

/// Waits until a queue gets a word, as it was published.
async fn arrives(inbox: &mut Inbox, word: &str) -> Result<()> {
    let wanted = json!(word).to_string();
    let received = inbox.take(word, |message| message.body == wanted).await?;
    ensure_eq!(received.attribute("source"), Some("apigw.route.publish"), "the attribute of {word}");
    Ok(())
}

/// Waits until a function has got a word.
async fn is_told(scene: &Scene, function: &str, word: &str) -> Result<()> {
    let message = json!(json!(word).to_string()).to_string();
    eventually(PATIENCE, &format!("{function} to be told {word}"), async || {
        let log = scene.testbed.aws().function_logs(function).await?;
        ensure!(log.contains(&message) && log.contains("aws:sns"), "it was not: {log}");
        Ok(())
    })
    .await
}

/// Asks for a look at once.
async fn look_again(scene: &Scene, when: &str) -> Result<()> {
    scene.stack.patch(&json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": when}}})).await
}

/// Waits until a condition has a status, a reason and a part of its sentence.
async fn told(scene: &Scene, type_: &str, status: &str, reason: &str, sentence: &str) -> Result<()> {
    scene
        .until(&format!("the condition {type_} to say {reason}"), |object| {
            let found = condition(object, type_).with_context(|| format!("no condition {type_}"))?;
            ensure_eq!([&found["status"], &found["reason"]], [&json!(status), &json!(reason)], "{found}");
            ensure!(text(found, "/message")?.contains(sentence), "{found}");
            Ok(())
        })
        .await
        .map(drop)
}

#[test]
fn a_queue_and_a_function_get_what_clients_publish_until_they_are_taken_out() -> Result<()> {
    scene("subs").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await;
        let (url, queue) = outside.queue(&format!("{}-orders", scene.namespace)).await?;
        let name = format!("{}-mailer", scene.namespace);
        let function = scene.backend()?.logging_function(&name).await?;
        let of_queue = json!({
            "protocol": "sqs", "endpoint": queue, "rawMessageDelivery": true,
            "filterPolicy": {"source": ["apigw.route.publish"], "user_id": ["alice"]},
        });
        let of_function = json!({"protocol": "lambda", "endpoint": function});
        scene.change(&json!({"messages": {"subscriptions": [of_queue, of_function]}}));
        scene.apply().await?;
        scene.ready().await?;
        let topic = scene.text("/messages/topicArn")?.to_owned();
        ensure_eq!(outside.statements(&name).await.len(), 1, "permissions of the function");

        let (mut alice, mut bob) = (scene.connect("alice").await?, scene.connect("bob").await?);
        let mut inbox = scene.backend()?.inbox(&url);
        publish(&mut bob, "from bob").await?;
        publish(&mut alice, "from alice").await?;
        arrives(&mut inbox, "from alice").await?;
        ensure!(inbox.waiting().is_empty(), "the filter lets {:?} through", inbox.waiting());
        is_told(scene, &name, "from bob").await?;

        edit_in_place(scene, &outside, &topic, &mut bob, &mut inbox, [of_queue, of_function.clone()]).await?;
        what_cannot_be_delivered_is_kept(scene, &outside, &name, &mut alice).await?;

        // Somebody else's stays as it is.
        let theirs = scene.backend()?.subscribe(&topic, &format!("{}-theirs", scene.namespace)).await?;
        scene.edit(json!({"messages": {"subscriptions": [of_function]}})).await?;
        ensure_eq!(outside.subscriptions(&topic).await?.len(), 2, "the function's and somebody else's");
        scene.edit(json!({"messages": {"subscriptions": []}})).await?;
        let left = outside.subscriptions(&topic).await?;
        ensure_eq!(left.len(), 1, "only somebody else's is left: {left:?}");
        ensure!(left[0].0.ends_with("-theirs"), "{left:?}");
        ensure_eq!(outside.statements(&name).await, Vec::<String>::new(), "permissions that are left");
        ensure_eq!(outside.notes(&topic).await?, Vec::<String>::new(), "notes that are left");
        let queues = scene.inventory().await?.names("queue").join(" ");
        ensure!(!queues.contains("subscriptions-dead-letters"), "the dead-letter queue is left: {queues}");
        publish(&mut alice, "to them alone").await?;
        arrives(&mut scene.backend()?.inbox(&theirs), "to them alone").await
    })
}

/// Another filter and other delivery are of the same subscription, and a settled stack is left alone.
async fn edit_in_place(
    scene: &mut Scene,
    outside: &Outside,
    topic: &str,
    bob: &mut Client,
    inbox: &mut Inbox,
    [mut of_queue, of_function]: [Value; 2],
) -> Result<()> {
    let before = outside.subscriptions(topic).await?;
    of_queue["filterPolicy"]["user_id"] = json!([{"anything-but": ["alice"]}]);
    scene.edit(json!({"messages": {"subscriptions": [of_queue, of_function]}})).await?;
    ensure_eq!(outside.subscriptions(topic).await?, before, "the subscriptions are the same");
    publish(bob, "from bob again").await?;
    arrives(inbox, "from bob again").await?;

    of_queue["rawMessageDelivery"] = json!(false);
    scene.edit(json!({"messages": {"subscriptions": [of_queue, of_function]}})).await?;
    publish(bob, "in an envelope").await?;
    let wanted = json!("in an envelope").to_string();
    let received = inbox.take("the envelope", |message| message.body.contains("in an envelope")).await?;
    ensure_eq!(received.json()?["Message"], json!(wanted), "what is in the envelope {}", received.body);

    look_again(scene, "settled").await?;
    for pass in scene.more_passes(1).await? {
        ensure!(pass.settled && pass.aws_writes == 0, "not quiet: {}", pass.line);
        // The list, two subscriptions, a function's policy, and the queue with its tags; and as the look was asked for,
        // ten tags that are otherwise read once an hour.
        ensure!(pass.aws_reads <= READS_MAX + 6 + 10, "{} reads in {}", pass.aws_reads, pass.line);
    }
    Ok(())
}

/// A function that lost its permission gets nothing, and nothing is lost until it has one again.
async fn what_cannot_be_delivered_is_kept(
    scene: &mut Scene,
    outside: &Outside,
    function: &str,
    alice: &mut Client,
) -> Result<()> {
    scene.ready().await?;
    let url = scene.text("/messages/subscriptionsDeadLetterQueueUrl")?.to_owned();
    let sid = outside.statements(function).await.pop().context("no permission")?;
    outside.functions.remove_permission().function_name(function).statement_id(&sid).send().await?;
    // A policy is believed for a second.
    let mut letters = scene.backend()?.inbox(&url);
    eventually(PATIENCE, "a message to be set aside", async || {
        publish(alice, "set aside").await?;
        letters.take("a dead letter", |letter| letter.body.contains("set aside")).await.map(drop)
    })
    .await?;
    look_again(scene, "permission").await?;
    eventually(PATIENCE, "the permission to be back", async || {
        ensure_eq!(outside.statements(function).await, std::slice::from_ref(&sid), "permissions of the function");
        Ok(())
    })
    .await?;
    publish(alice, "after all").await?;
    is_told(scene, function, "after all").await
}

/// A list in which an endpoint has not confirmed: the emulator takes every confirmation for given.
fn unconfirmed(list: &str, endpoint: &str) -> String {
    let member = |text: &str| match (text.contains(endpoint), text.split_once("<SubscriptionArn>")) {
        (true, Some((before, rest))) => {
            let after = rest.split_once('<').map_or("", |(_, after)| after);
            format!("{before}<SubscriptionArn>PendingConfirmation<{after}")
        }
        _ => text.to_owned(),
    };
    list.split_inclusive("</member>").map(member).collect()
}

#[test]
fn a_server_that_has_not_confirmed_is_told_and_holds_up_nothing() -> Result<()> {
    scene("pending").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await;
        let endpoint = "https://127.0.0.1:9/in?key=secret";
        let act = Act::rewrite_text(move |list| unconfirmed(&list, endpoint));
        let calls = Calls::Operation(Service::Sns, "ListSubscriptionsByTopic");
        let fault = scene.testbed.aws().gateway().inject(Fault::of(calls, act).by(scene.key()));
        scene.change(&json!({"messages": {"subscriptions": [{"protocol": "https", "endpoint": endpoint}]}}));
        scene.apply().await?;
        scene.ready().await?;
        let sentence = "SNS delivers nothing yet to https 127.0.0.1:9 (the server must answer";
        told(scene, "SubscriptionsConfirmed", "False", "ActionRequired", sentence).await?;
        ensure!(!scene.operator_log()?.contains("key=secret"), "the log has the whole URL");

        // Nobody can take it away before it is confirmed or SNS does, so the topic goes on to note it.
        scene.edit(json!({"messages": {"subscriptions": []}})).await?;
        let topic = scene.text("/messages/topicArn")?.to_owned();
        ensure_eq!(outside.notes(&topic).await?.len(), 1, "notes");
        ensure_eq!(outside.subscriptions(&topic).await?.len(), 1, "subscriptions");
        ensure_eq!(condition(&scene.stack.object().await?, "SubscriptionsConfirmed"), None, "the condition");

        // It is confirmed after all.
        fault.end();
        look_again(scene, "confirmed").await?;
        eventually(PATIENCE, "it to go with its note", async || {
            ensure_eq!(outside.subscriptions(&topic).await?, [], "subscriptions");
            ensure_eq!(outside.notes(&topic).await?, Vec::<String>::new(), "notes");
            Ok(())
        })
        .await
    })
}

#[test]
fn people_servers_and_delivery_streams_are_subscribed_and_let_go_of() -> Result<()> {
    scene("people").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await;
        let role = format!("arn:aws:iam::{ACCOUNT}:role/sns-to-firehose");
        let stream = format!("arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/archive");
        let wanted = [
            json!({"protocol": "http", "endpoint": "http://127.0.0.1:9/in"}),
            json!({"protocol": "email", "endpoint": "somebody@example.com"}),
            json!({"protocol": "sms", "endpoint": "+4915112345678"}),
            json!({"protocol": "firehose", "endpoint": stream, "subscriptionRoleArn": role}),
        ];
        scene.change(&json!({"messages": {"subscriptions": wanted}}));
        scene.apply().await?;
        scene.ready().await?;
        let topic = scene.text("/messages/topicArn")?.to_owned();
        let found = outside.subscriptions(&topic).await?;
        let endpoints: Vec<&str> = found.iter().map(|(endpoint, _)| endpoint.as_str()).collect();
        let expected = ["+4915112345678", stream.as_str(), "http://127.0.0.1:9/in", "somebody@example.com"];
        ensure_eq!(endpoints, expected, "where the topic leads");
        ensure_eq!(outside.attribute(&found[1].1, "SubscriptionRoleArn").await?, Some(role), "the stream's role");
        let status = scene.stack.object().await?["status"].to_string();
        for person in ["somebody@", "5112345678"] {
            ensure!(!status.contains(person) && !scene.operator_log()?.contains(person), "{person} is told");
        }

        scene.edit(json!({"messages": {"subscriptions": [wanted[1]]}})).await?;
        let left = outside.subscriptions(&topic).await?;
        ensure!(left.len() == 1 && left[0].0 == "somebody@example.com", "not only the e-mail is left: {left:?}");
        scene.edit(json!({"messages": {"subscriptions": []}})).await?;
        ensure_eq!(outside.subscriptions(&topic).await?, [], "subscriptions that are left");
        ensure_eq!(outside.notes(&topic).await?, Vec::<String>::new(), "notes that are left");
        Ok(())
    })
}

#[test]
fn one_subscription_that_cannot_be_made_holds_up_no_other_and_the_printed_rights_suffice() -> Result<()> {
    scene("broken").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await;
        let (_, queue) = outside.queue(&format!("{}-orders", scene.namespace)).await?;
        let name = format!("{}-mailer", scene.namespace);
        let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}");
        limit(scene)?;
        scene.change(&json!({"messages": {"subscriptions": [
            {"protocol": "lambda", "endpoint": function}, {"protocol": "sqs", "endpoint": queue},
        ]}}));
        scene.apply().await?;
        told(scene, "Subscriptions", "False", "AccessDenied", "lambda:GetPolicy").await?;
        told(scene, "Gateway", "True", "Settled", "").await?;

        limit_with(scene, &Needs { subscribers: vec![name.clone()], ..Needs::default() })?;
        look_again(scene, "rights").await?;
        told(scene, "Subscriptions", "False", "Rejected", "Make the function").await?;
        let status = scene.stack.object().await?["status"].clone();
        let topic = text(&status, "/messages/topicArn")?.to_owned();
        let found = outside.subscriptions(&topic).await?;
        ensure_eq!(found.len(), 1, "the queue's alone: {found:?}");
        let letters = outside.attribute(&found[0].1, "RedrivePolicy").await?.unwrap_or_default();
        ensure!(letters.contains("-subscriptions-dead-letters"), "{letters}");

        scene.backend()?.logging_function(&name).await?;
        look_again(scene, "made").await?;
        scene.ready().await?;
        let mut alice = scene.connect("alice").await?;
        publish(&mut alice, "at last").await?;
        is_told(scene, &name, "at last").await?;
        scene.delete().await?;
        ensure_eq!(outside.statements(&name).await, Vec::<String>::new(), "permissions that are left");
        Ok(())
    })
}
