//! Rights that are missing are told together, by IAM's policy simulator: before an operator begins, and when it is denied.

use serde_json::{Value, json};
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::operator::{Settings, Told, tell};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::consumers::Team;
use crate::faults::common::says;
use crate::permissions::{limit, printed, without};
use crate::scene::{Scene, scene};

/// Rights that a new stack needs one after the other, in several services.
const MISSING: [&str; 4] = ["lambda:AddPermission", "logs:PutRetentionPolicy", "sns:TagResource", "sqs:TagQueue"];

/// What is printed but for some actions, and what it takes to be told of them.
fn lacking(role: &str, missing: &[&str]) -> Result<Value> {
    let whole: Value = serde_json::from_str(&printed(REGION, ACCOUNT).text())?;
    let mut policy = missing.iter().fold(whole, |policy, action| without(policy, action));
    let statements = policy["Statement"].as_array_mut().context("no statements")?;
    statements
        .push(json!({"Effect": "Allow", "Action": ["iam:SimulatePrincipalPolicy", "iam:GetRole"], "Resource": role}));
    Ok(policy)
}

fn role(scene: &Scene) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{}", scene.key())
}

/// What `iam --check` says to a key.
async fn check(scene: &Scene, key: Option<&str>, arguments: &[&str], input: &str) -> Result<Told> {
    let settings = Settings { key: key.map(ToOwned::to_owned), ..Settings::default() };
    tell(scene.testbed, &settings, &[&["iam", "--check"], arguments].concat(), input).await
}

#[test]
fn all_that_a_denied_operator_lacks_is_told_at_once_of_its_role_with_its_path() -> Result<()> {
    scene("lacking").play_from_the_start(async |scene| {
        let gateway = scene.testbed.aws().gateway();
        // Its sessions do not tell the path, so it has to be asked for.
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/platform/{}", scene.key());
        let iam = aws_sdk_iam::Client::new(&scene.sdk().await);
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        iam.create_role().role_name(scene.key()).path("/platform/").assume_role_policy_document(trust).send().await?;
        let mut policy = lacking(&arn, &MISSING)?;
        let statements = policy["Statement"].as_array_mut().context("no statements")?;
        statements.push(json!({"Effect": "Allow", "Action": "iam:GetRole", "Resource": role(scene)}));
        gateway.limit(scene.key(), policy);
        scene.apply().await?;
        let sentence = format!("Rights are missing: {} (IAM's policy simulator of {arn}); ", MISSING.join(", "));
        says(scene, "Ready", "AccessDenied", &[&sentence, "is not authorized to perform"]).await?;
        limit(scene)?;
        scene.ready().await?;
        scene.delete().await?;
        iam.delete_role().role_name(scene.key()).send().await?;
        Ok(())
    })
}

#[test]
fn who_may_not_ask_the_simulator_is_told_in_aws_own_words_alone() -> Result<()> {
    scene("unasked").play_from_the_start(async |scene| {
        let whole: Value = serde_json::from_str(&printed(REGION, ACCOUNT).text())?;
        scene.testbed.aws().gateway().limit(scene.key(), without(whole, "sqs:TagQueue"));
        scene.apply().await?;
        let object = says(scene, "Notifications", "AccessDenied", &["not authorized to perform: sqs:TagQueue"]).await?;
        ensure!(!object.to_string().contains("simulator"), "more than AWS has said: {object}");
        limit(scene)?;
        scene.ready().await?;
        scene.delete().await
    })
}

#[test]
fn a_check_names_each_right_that_is_missing_and_ends_well_once_none_is() -> Result<()> {
    scene("checked").play_from_the_start(async |scene| {
        let gateway = scene.testbed.aws().gateway();
        let (key, role) = (scene.key(), role(scene));
        gateway.limit(key, lacking(&role, &MISSING)?);
        let told = check(scene, Some(key), &["--region", REGION], "").await?;
        let queue = format!("sqs:TagQueue on arn:aws:sqs:{REGION}:{ACCOUNT}:sumu-preflight");
        ensure_eq!(told.code, Some(2), "the exit code of {told:#?}");
        for words in [&*format!("{role} lacks:\n"), &queue, "  logs:PutRetentionPolicy on arn:aws:logs:"] {
            ensure!(told.stdout.contains(words), "no {words:?} in {told:#?}");
        }
        ensure_eq!(
            told.stdout.lines().count(),
            1 + MISSING.len() + 1,
            "lines (log groups are in two places): {told:#?}"
        );

        gateway.limit(key, lacking(&role, &[])?);
        let told = check(scene, Some(key), &["--region", REGION], "").await?;
        let words = format!("By IAM's policy simulator {role} lacks no right that is needed.\n");
        ensure_eq!((told.code, &told.stdout), (Some(0), &words), "with all rights, and {told:#?}");
        let told = check(scene, None, &["--principal", &role, "--region", REGION], "").await?;
        ensure_eq!((told.code, &told.stdout), (Some(0), &words), "asked by another, and {told:#?}");
        // What only some stacks need.
        let told = check(scene, Some(key), &["--region", REGION, "--with", "custom-domain"], "").await?;
        ensure_eq!(told.code, Some(2), "the exit code of {told:#?}");
        ensure!(told.stdout.contains("route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/"), "{told:#?}");
        Ok(())
    })
}

#[test]
fn a_check_of_a_stack_asks_for_its_own_names_and_what_its_spec_needs() -> Result<()> {
    scene("fitting").play_from_the_start(async |scene| {
        let role = role(scene);
        scene.testbed.aws().gateway().limit(scene.key(), lacking(&role, &[])?);
        let team = Team::of(scene, "chat", 30).await?;
        scene.change(&json!({"messages": {"consumers": [{"functionArn": team.arn}]}}));
        let manifest = scene.manifest().to_string();
        // The region is the function's: nothing else says where the stack will be.
        let printed = tell(scene.testbed, &Settings::default(), &["iam", "--stack", "-f", "-"], &manifest).await?;
        let table = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/sumu-*");
        ensure!(printed.code == Some(0) && printed.stdout.contains(&table), "no {table} in {printed:#?}");
        let told = check(scene, Some(scene.key()), &["--stack", "-f", "-"], &manifest).await?;
        ensure_eq!(told.code, Some(2), "the exit code of {told:#?}");
        let actions = ["CreateEventSourceMapping", "DeleteEventSourceMapping", "UpdateEventSourceMapping"];
        let lines = actions.map(|action| format!("  lambda:{action} on *\n")).concat();
        let expected = format!("For {}/", scene.namespace);
        ensure!(told.stdout.starts_with(&expected) && told.stdout.ends_with(&lines), "{told:#?}");
        ensure_eq!(told.stdout.lines().count(), 2 + actions.len(), "lines of {told:#?}");
        scene.change(&json!({"aws": {"roleArn": role}}));
        let told = check(scene, None, &["--stack", "-f", "-"], &scene.manifest().to_string()).await?;
        ensure!(told.stdout.contains(&format!("simulator {role} lacks:")), "the stack's role: {told:#?}");
        team.leave().await
    })
}

#[test]
fn a_check_that_cannot_be_made_says_what_it_takes() -> Result<()> {
    scene("uncheckable").play_from_the_start(async |scene| {
        let told = check(scene, None, &[], "").await?;
        ensure_eq!(told.code, Some(1), "the exit code for credentials of nobody, {told:#?}");
        ensure!(told.stderr.contains("name the operator's role with --principal"), "{told:#?}");
        scene.testbed.aws().gateway().limit(scene.key(), json!({"Version": "2012-10-17", "Statement": []}));
        let told = check(scene, Some(scene.key()), &[], "").await?;
        ensure_eq!(told.code, Some(1), "the exit code for credentials without the right, {told:#?}");
        for words in ["AccessDenied", "needs iam:SimulatePrincipalPolicy on that role"] {
            ensure!(told.stderr.contains(words), "no {words:?} in {told:#?}");
        }
        let told = check(scene, None, &["--principal", "operator"], "").await?;
        ensure_eq!(told.code, Some(1), "the exit code for what is no principal, {told:#?}");
        ensure!(told.stderr.contains("the ARN of a role or a user"), "{told:#?}");
        Ok(())
    })
}
