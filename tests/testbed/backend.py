"""A backend: does one thing with plain boto3, as told by JSON on standard input; answers JSON on standard output.

The endpoint, the region and the credentials come from the environment, as they do anywhere else.
"""

import io
import json
import sys
import time
import zipfile

import boto3
from botocore.exceptions import ClientError

# A function that tells a queue of what it is given, each record by itself.
TELLS = """
import json, os
import boto3

sqs = boto3.client("sqs")

def handler(event, context):
    for record in event["Records"]:
        attributes = {name: value.get("stringValue") for name, value in record["messageAttributes"].items()}
        told = {"body": record["body"], "attributes": attributes, "by": context.invoked_function_arn}
        sqs.send_message(QueueUrl=os.environ["OUTBOX"], MessageBody=json.dumps(told))
    return {"batchItemFailures": []}
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

# A function that only tells what it gets.
PROGRAM = """#!{python}
import os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next", timeout=None) as next:
        id, event = next.headers["Lambda-Runtime-Aws-Request-Id"], next.read()
    print(event.decode().replace("\\n", " "), flush=True)
    urllib.request.urlopen(api + id + "/response", b"null")
"""
MADE_WITHIN_SECONDS = 30


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


def logging_function(order):
    iam, functions, name = boto3.client("iam"), boto3.client("lambda"), order["name"]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, PROGRAM.format(python=sys.executable))
    deadline = time.monotonic() + MADE_WITHIN_SECONDS
    while True:
        try:
            made = functions.create_function(
                FunctionName=name,
                Role=role,
                Runtime="provided.al2023",
                Handler="bootstrap",
                Code={"ZipFile": package.getvalue()},
            )
            break
        except functions.exceptions.InvalidParameterValueException:
            # Lambda cannot assume the role yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return made["FunctionArn"]


def function(order):
    """Makes a function whose role may send to its outbox and no more. The role may be there already."""
    iam, lambda_, sqs = boto3.client("iam"), boto3.client("lambda"), boto3.client("sqs")
    name, asked = order["name"], sqs.get_queue_attributes(QueueUrl=order["outbox"], AttributeNames=["QueueArn"])
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName=name)["Role"]["Arn"]
    tell = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": asked["Attributes"]["QueueArn"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [tell]})
    iam.put_role_policy(RoleName=name, PolicyName="tell", PolicyDocument=document)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("tells.py", TELLS)
    try:
        made = lambda_.create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.12",
            Handler="tells.handler",
            Timeout=order["timeout"],
            Code={"ZipFile": code.getvalue()},
            Environment={"Variables": {"OUTBOX": order["outbox"]}},
        )
    except ClientError as refused:
        raise SystemExit(f"not yet: {refused}") from None
    return made["FunctionArn"]


def alias(order):
    lambda_ = boto3.client("lambda")
    try:
        version = lambda_.publish_version(FunctionName=order["function"])["Version"]
        made = lambda_.create_alias(FunctionName=order["function"], Name=order["name"], FunctionVersion=version)
    except ClientError as refused:
        raise SystemExit(f"not yet: {refused}") from None
    return made["AliasArn"]


def allow(order):
    boto3.client("iam").put_role_policy(RoleName=order["role"], PolicyName="sumu", PolicyDocument=order["policy"])


def remove_function(order):
    iam, lambda_, logs = boto3.client("iam"), boto3.client("lambda"), boto3.client("logs")
    name = order["name"]
    lambda_.delete_function(FunctionName=name)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    try:
        logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")
    except logs.exceptions.ResourceNotFoundException:
        pass


order = json.load(sys.stdin)
does = (publish, send, receive, drain, subscribe, unsubscribe, recovery, logging_function, function, alias, allow, remove_function)
actions = {f.__name__: f for f in does}
json.dump(actions[order["do"]](order), sys.stdout)
