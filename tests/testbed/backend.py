"""A backend: does one thing with plain boto3, as told by JSON on standard input; answers JSON on standard output.

The endpoint, the region and the credentials come from the environment, as they do anywhere else.
"""

import json
import sys
import time

import boto3


def publish(order):
    return boto3.client("sns").publish(TopicArn=order["topic"], Message=order["message"])["MessageId"]


def send(order):
    entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(order["messages"])]
    answer = boto3.client("sqs").send_message_batch(QueueUrl=order["queue"], Entries=entries)
    if answer.get("Failed"):
        raise SystemExit(f"SQS refused: {answer['Failed']}")
    return [sent["MessageId"] for sent in sorted(answer["Successful"], key=lambda sent: int(sent["Id"]))]


def receive_once(sqs, queue, seconds):
    answer = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=seconds, MessageAttributeNames=["All"]
    )
    received = []
    for message in answer.get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        attributes = {
            name: {"type": attribute["DataType"], "value": attribute.get("StringValue")}
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        received.append({"id": message["MessageId"], "body": message["Body"], "attributes": attributes})
    return received


def receive(order):
    sqs = boto3.client("sqs")
    deadline = time.monotonic() + order["seconds"]
    received = []
    while len(received) < order["count"] and (left := deadline - time.monotonic()) > 0:
        received += receive_once(sqs, order["queue"], min(20, max(1, int(left))))
    return received


def drain(order):
    sqs = boto3.client("sqs")
    received = []
    while batch := receive_once(sqs, order["queue"], 0):
        received += batch
    return received


def subscribe(order):
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName=order["queue"])["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": order["topic"]}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(
        TopicArn=order["topic"], Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return url


def unsubscribe(order):
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    arn = sqs.get_queue_attributes(QueueUrl=order["queue"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for subscription in sns.list_subscriptions_by_topic(TopicArn=order["topic"])["Subscriptions"]:
        if subscription["Endpoint"] == arn:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=order["queue"])


def recovery(order):
    told = boto3.client("dynamodb").describe_continuous_backups(TableName=order["table"])
    return told["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


order = json.load(sys.stdin)
actions = {f.__name__: f for f in (publish, send, receive, drain, subscribe, unsubscribe, recovery)}
json.dump(actions[order["do"]](order), sys.stdout)
