//! The CRD in a real API server: what it admits, and what it refuses with which sentence.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sumu_tests::{Context, Result, Testbed, ensure, ensure_eq, stack, story, workspace};

/// The smallest stack that there is.
fn minimal() -> Value {
    json!({
        "apiVersion": "sumu.live/v1alpha1",
        "kind": "SumuStack",
        "metadata": {"name": "live"},
        "spec": {"authorizer": {"issuers": [{"jwksUri": "https://issuer.example/keys"}]}},
    })
}

/// The UID of an object that is gone.
const UID: &str = "5e1d3c1a-0000-4000-8000-000000000001";

/// Every field, as the contract shows it.
fn full() -> Value {
    let mut full = minimal();
    full["spec"] = json!({
        "aws": {"region": "us-east-1", "roleArn": "arn:aws:iam::123456789012:role/sumu", "externalId": "tenant-1"},
        "stageName": "live",
        "tags": {"team": "chat"},
        "authorizer": {
            "issuers": [{
                "jwksUri": "https://issuer.example/.well-known/jwks.json",
                "issuer": "https://issuer.example/",
                "audiences": ["sumu-websocket"],
            }],
            "verifyExpiration": true,
            "leewaySeconds": 30,
            "principalClaim": "sub",
            "tokenSources": ["QueryString", "Header", "Subprotocol"],
        },
        "connections": {"ttlSeconds": 7200, "pointInTimeRecovery": false, "deletionProtection": false},
        "gateway": {
            "throttling": {"rateLimit": 10000, "burstLimit": 5000},
            "accessLogs": {"enabled": true, "retentionDays": 3},
            "customDomain": {
                "domainName": "live.example.com",
                "certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
                "path": "push",
                "hostedZoneId": "Z0123456789",
            },
        },
        "presence": {"source": "Queue", "gracePeriodSeconds": 0},
        "pusher": {"emptyUsers": "Broadcast", "maxConcurrency": 10, "maxRate": 7000, "maxAttempts": 5},
        "messages": {
            "subscriptions": [{
                "protocol": "sqs",
                "endpoint": "arn:aws:sqs:us-east-1:123456789012:chat",
                "rawMessageDelivery": true,
                "filterPolicy": {"source": ["apigw.route.publish"]},
            }],
            "consumers": [{"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:chat", "batchSize": 5}],
        },
        "functions": {
            "architecture": "x86_64", "memoryMiB": 256, "logRetentionDays": 14, "package": {"embedded": {}},
        },
        "export": {"configMapName": "live-sumu"},
        "deletionPolicy": "Delete",
        "deletion": {"whenInUse": "Wait"},
        "suspend": false,
        "resyncSeconds": 3600,
        "adoption": {"uid": UID, "namespace": "apps", "name": "live.old"},
    });
    full
}

async fn stacks(testbed: &Testbed, namespace: &str) -> Result<Api<DynamicObject>> {
    Ok(stack::api(testbed.kubernetes().client().await?, namespace))
}

/// What the API server says to a manifest that it refuses.
fn refusal(answer: Result<DynamicObject, kube::Error>) -> Result<String> {
    match answer {
        Ok(admitted) => Ok(format!("admitted: {}", serde_json::to_string(&admitted.data)?)),
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(error) => Err(error.into()),
    }
}

/// One changed field, as a JSON merge patch of the minimal stack's spec, and a part of the expected sentence.
fn refused() -> Vec<(Value, &'static str)> {
    let issuer = |field: &str, value: Value| {
        let mut issuer = json!({"jwksUri": "https://issuer.example/keys"});
        issuer[field] = value;
        json!({"authorizer": {"issuers": [issuer]}})
    };
    let subscription = |value: Value| json!({"messages": {"subscriptions": [value]}});
    let consumer = |field: &str, value: Value| {
        let mut consumer = json!({"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:chat"});
        consumer[field] = value;
        json!({"messages": {"consumers": [consumer]}})
    };
    let mut table = vec![
        (json!({"authorizer": null}), "spec.authorizer: Required value"),
        (json!({"authorizer": {"issuers": []}}), "should have at least 1 items"),
        (issuer("jwksUri", json!("http://issuer.example/keys")), "jwksUri must begin with https://"),
        (issuer("jwksUri", json!("http://localhost.example/keys")), "jwksUri must begin with https://"),
        (issuer("jwksUri", json!("ftp://issuer.example/keys")), "should match '^https?://"),
        (issuer("audiences", json!([""])), "should be at least 1 chars long"),
        (json!({"authorizer": {"leewaySeconds": 601}}), "should be less than or equal to 600"),
        (json!({"authorizer": {"tokenSources": []}}), "should have at least 1 items"),
        (json!({"authorizer": {"tokenSources": ["Cookie"]}}), "Unsupported value: \"Cookie\""),
        (json!({"authorizer": {"tokenSources": ["Header", "Header"]}}), "Duplicate value: \"Header\""),
        (json!({"aws": {"region": "Ireland"}}), "spec.aws.region"),
        (json!({"aws": {"roleArn": "sumu"}}), "spec.aws.roleArn"),
        (json!({"aws": {"externalId": "tenant-1"}}), "spec.aws.externalId needs spec.aws.roleArn"),
        (json!({"stageName": "a/b"}), "spec.stageName"),
        (json!({"tags": {"aws:team": "chat"}}), "must not start with 'aws:'"),
        (json!({"tags": {"sumu.live/owner": "me"}}), "must not start with 'aws:'"),
        (json!({"connections": {"ttlSeconds": 7199}}), "should be greater than or equal to 7200"),
        (json!({"gateway": {"throttling": {"rateLimit": 0}}}), "should be greater than or equal to 1"),
        (json!({"gateway": {"accessLogs": {"retentionDays": 2}}}), "spec.gateway.accessLogs.retentionDays"),
        (json!({"gateway": {"customDomain": {}}}), "spec.gateway.customDomain.domainName: Required value"),
        (
            json!({"gateway": {"customDomain": {"domainName": "a.example", "hostedZoneId": "Z1"}}}),
            "spec.gateway.customDomain.hostedZoneId needs certificateArn",
        ),
        (
            json!({"gateway": {"customDomain": {"domainName": "a.example", "path": "a/b"}}}),
            "spec.gateway.customDomain.path has one level, without '/'",
        ),
        (json!({"gateway": {"customDomain": {"domainName": "localhost"}}}), "spec.gateway.customDomain.domainName"),
        (json!({"gateway": {"customDomain": {"domainName": "a..example"}}}), "spec.gateway.customDomain.domainName"),
        (json!({"presence": {"source": "Nowhere"}}), "Unsupported value: \"Nowhere\""),
        (json!({"presence": {"gracePeriodSeconds": 901}}), "should be less than or equal to 900"),
        (json!({"pusher": {"maxConcurrency": 1}}), "should be greater than or equal to 2"),
        (json!({"pusher": {"emptyUsers": "Ignore"}}), "Unsupported value: \"Ignore\""),
        (json!({"functions": {"memoryMiB": 64}}), "should be greater than or equal to 128"),
        (json!({"functions": {"architecture": "riscv"}}), "Unsupported value: \"riscv\""),
        (
            json!({"functions": {"package": {"embedded": {}, "s3": {"bucket": "code", "codeSha256": code_sha256()}}}}),
            "takes at most one of embedded and s3",
        ),
        (json!({"export": {"configMapName": "Live"}}), "spec.export.configMapName"),
        (json!({"deletionPolicy": "Orphan"}), "Unsupported value: \"Orphan\""),
        (json!({"deletion": {"whenInUse": "Ask"}}), "Unsupported value: \"Ask\""),
    ];
    table.extend([
        (subscription(json!({"protocol": "pigeon", "endpoint": "roof"})), "Unsupported value: \"pigeon\""),
        (subscription(json!({"protocol": "firehose", "endpoint": "arn"})), "needs subscriptionRoleArn"),
        (
            subscription(json!({"protocol": "email", "endpoint": "a@b.example", "rawMessageDelivery": true})),
            "rawMessageDelivery works only with the protocols sqs, http, https and firehose",
        ),
        (consumer("functionArn", json!("chat")), "functionArn"),
        (consumer("batchSize", json!(11)), "a batchSize over 10 needs maximumBatchingWindowSeconds"),
        (consumer("maximumConcurrency", json!(1)), "should be greater than or equal to 2"),
    ]);
    table
}

/// The same of fields that are about the object as a whole.
fn refused_as_a_whole() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"resyncSeconds": 59}), "should be greater than or equal to 60"),
        (json!({"resyncSeconds": 86_401}), "should be less than or equal to 86400"),
        (json!({"adoption": {}}), "spec.adoption.uid: Required value"),
        (json!({"adoption": {"uid": UID.to_uppercase()}}), "spec.adoption.uid"),
        (json!({"adoption": {"uid": "live"}}), "spec.adoption.uid"),
        (json!({"adoption": {"uid": UID, "namespace": "a.b"}}), "spec.adoption.namespace"),
        (json!({"adoption": {"uid": UID, "name": "a/b"}}), "spec.adoption.name"),
    ]
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(patch)) = (&mut *into, patch) else {
        *into = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn code_sha256() -> Value {
    let hash = format!("{}=", "A".repeat(43));
    json!({"authorizer": hash, "routes": hash, "pusher": hash, "watchdog": hash})
}

#[test]
fn the_api_server_refuses_wrong_stacks_and_says_why() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        let stacks = stacks(testbed, &namespace).await?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let mut wrong = Vec::new();
        for (patch, sentence) in refused().into_iter().chain(refused_as_a_whole()) {
            let mut manifest = minimal();
            merge(&mut manifest["spec"], &patch);
            let said = refusal(stacks.create(&dry, &serde_json::from_value(manifest)?).await)?;
            if !said.contains(sentence) {
                wrong.push(format!("{patch}\n  expected: {sentence}\n  got:      {said}"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
}

#[test]
fn the_api_server_admits_the_smallest_stack_and_fills_in_the_defaults() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let stack = stacks(testbed, &namespace).await?.create(&dry, &serde_json::from_value(minimal())?).await?;
        let spec = &stack.data["spec"];
        ensure_eq!(spec["stageName"], json!("live"), "the stage");
        ensure_eq!(spec["authorizer"]["leewaySeconds"], json!(30), "the leeway");
        ensure_eq!(spec["authorizer"]["tokenSources"], json!(["QueryString"]), "the token sources");
        ensure_eq!(spec["connections"]["ttlSeconds"], json!(7200), "the TTL");
        ensure_eq!(spec["gateway"]["throttling"], json!({"rateLimit": 10000, "burstLimit": 5000}), "the limits");
        ensure_eq!(spec["presence"], json!({"source": "Queue", "gracePeriodSeconds": 0}), "presence");
        ensure_eq!(spec["functions"]["package"], json!({}), "the package");
        ensure_eq!(spec["deletionPolicy"], json!("Delete"), "the deletion policy");
        Ok(())
    })
}

#[test]
fn the_api_server_admits_every_field_of_the_contract() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        // By kubectl, which is strict: a field that the schema does not know is an error.
        let arguments = ["create", "--dry-run=server", "--validate=strict", "--filename=-", "--namespace", &namespace];
        testbed.kubernetes().kubectl_ok(&arguments, &full().to_string()).await?;

        let mut unknown = full();
        unknown["spec"]["pusher"]["maxSpeed"] = json!(1);
        let answer = testbed.kubernetes().kubectl(&arguments, &unknown.to_string()).await?;
        ensure!(answer.stderr.contains("unknown field \"spec.pusher.maxSpeed\""), "said: {}", answer.stderr);
        Ok(())
    })
}

#[test]
fn the_api_server_admits_every_example() -> Result<()> {
    story(async |testbed| {
        // The examples are in this namespace, and a dry run makes none.
        testbed.kubernetes().kubectl_ok(&["create", "namespace", "apps"], "").await?;
        for entry in std::fs::read_dir(workspace::root().join("examples"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let path = path.to_str().context("a path that is no text")?;
                let arguments = ["apply", "--dry-run=server", "--validate=strict", "--filename", path];
                testbed.kubernetes().kubectl_ok(&arguments, "").await?;
            }
        }
        Ok(())
    })
}

#[test]
fn what_clients_rely_on_cannot_change() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        let stacks = stacks(testbed, &namespace).await?;
        let mut manifest = minimal();
        manifest["spec"]["aws"] = json!({"region": "us-east-1"});
        stacks.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
        for (patch, sentence) in [
            (json!({"stageName": "other"}), "spec.stageName cannot change"),
            (json!({"aws": {"region": "eu-west-1"}}), "spec.aws.region cannot change"),
            (json!({"aws": {"region": null}}), "spec.aws.region cannot change"),
            (json!({"adoption": {"uid": UID}}), "spec.adoption is settled when the object is made"),
        ] {
            let patch = Patch::Merge(json!({"spec": patch}));
            let said = refusal(stacks.patch("live", &PatchParams::default(), &patch).await)?;
            ensure!(said.contains(sentence), "expected: {sentence}\n  got:      {said}");
        }
        Ok(())
    })
}

#[test]
fn what_an_object_has_adopted_cannot_change() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        let stacks = stacks(testbed, &namespace).await?;
        let mut manifest = minimal();
        manifest["spec"]["adoption"] = json!({"uid": UID});
        stacks.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
        let other = UID.replace('1', "2");
        for adoption in [Value::Null, json!({"uid": other}), json!({"uid": UID, "name": "old"})] {
            let patch = Patch::Merge(json!({"spec": {"adoption": adoption}}));
            let said = refusal(stacks.patch("live", &PatchParams::default(), &patch).await)?;
            ensure!(said.contains("spec.adoption is settled when the object is made"), "it says {said}");
        }
        let patch = Patch::Merge(json!({"spec": {"suspend": true, "adoption": {"uid": UID}}}));
        stacks.patch("live", &PatchParams::default(), &patch).await?;
        Ok(())
    })
}

#[test]
fn kubectl_knows_the_short_name_and_shows_the_columns() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("crd").await?;
        let arguments = ["create", "--filename=-", "--namespace", &namespace];
        testbed.kubernetes().kubectl_ok(&arguments, &minimal().to_string()).await?;
        let table = testbed.kubernetes().kubectl_ok(&["get", "sumu", "--namespace", &namespace], "").await?;
        let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        ensure_eq!(header, ["NAME", "READY", "STATUS", "ENDPOINT", "AGE"], "the columns");
        let wide = ["get", "sumu", "--output=wide", "--namespace", &namespace];
        let table = testbed.kubernetes().kubectl_ok(&wide, "").await?;
        let header: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        ensure_eq!(header, ["NAME", "READY", "STATUS", "ENDPOINT", "REASON", "DRIFT", "AGE"], "the wide columns");
        Ok(())
    })
}

#[test]
fn a_status_of_a_deleted_object_does_not_land_on_another_of_its_name() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("reborn").await?;
        let manifest = stack::manifest(testbed, &namespace, "live");
        let first = stack::Stack::apply(testbed, &manifest).await?;
        let version = first.object().await?["metadata"]["resourceVersion"].clone();
        first.delete().await?;
        first.gone().await?;
        let second = stack::Stack::apply(testbed, &manifest).await?;
        // As the operator writes it.
        let status = json!({
            "apiVersion": "sumu.live/v1alpha1",
            "kind": "SumuStack",
            "metadata": {"name": "live", "resourceVersion": version},
            "status": {"endpoint": "wss://of-the-first"},
        });
        let api = stack::api(testbed.kubernetes().client().await?, &namespace);
        let parameters = PatchParams::apply("sumu-operator").force();
        let written = api.patch_status("live", &parameters, &Patch::Apply(&status)).await;
        let Err(kube::Error::Api(refusal)) = written else {
            return Err(sumu_tests::Error::new(format!("it was taken: {written:?}")));
        };
        ensure_eq!(refusal.code, 409, "the answer {refusal:?}");
        let object = second.object().await?;
        // What the API server gives an object that nobody has looked at.
        ensure_eq!(object["status"]["observedGeneration"], json!(-1), "the status of a new object");
        ensure!(object["status"]["endpoint"].is_null(), "it has the other's address");
        second.delete().await?;
        second.gone().await
    })
}
