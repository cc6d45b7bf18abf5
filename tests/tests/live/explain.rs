//! What the operator would do, told before it does it: `sumu-operator plan`, and `iam --stack`.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use sumu_operator::desired::policy::Document;
use sumu_tests::aws::ACCOUNT;
use sumu_tests::operator::{Settings, Told, provision, tell};
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, story, workspace};

use crate::scene::{Scene, names_begin, scene};

pub const NOTHING: &str = "Nothing would change.\n";

/// The access key by which the calls of the commands are told from the operator's.
fn key(scene: &Scene) -> String {
    format!("{}-told", scene.namespace)
}

/// Runs `plan`, by default for the manifest of the scene.
pub async fn plan(scene: &Scene, arguments: &[&str], manifest: &Value) -> Result<Told> {
    let settings = Settings { key: Some(key(scene)), arguments: provision(scene.testbed)?, ..Settings::default() };
    let arguments = [&["plan", "--detailed-exitcode"], arguments].concat();
    tell(scene.testbed, &settings, &arguments, &manifest.to_string()).await
}

/// The plan for a manifest, which is none that is refused.
pub async fn plan_of(scene: &Scene, arguments: &[&str], manifest: &Value) -> Result<Told> {
    let told = plan(scene, &[&["--filename", "-"], arguments].concat(), manifest).await?;
    ensure!(told.stderr.is_empty() && told.code != Some(1), "{told:?}");
    Ok(told)
}

pub fn ensure_says(told: &Told, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(told.stdout.contains(word) || told.stderr.contains(word), "no {word:?} in {told:#?}");
    }
    Ok(())
}

/// The manifest with another spec, by a change of one member.
fn with(scene: &Scene, pointer: &str, value: Value) -> Value {
    let mut manifest = scene.manifest().clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
    let parent = parent.split('/').skip(1).fold(&mut manifest, |at, member| &mut at[member]);
    parent[member] = value;
    manifest
}

/// Nothing that the commands have called has changed anything.
fn ensure_only_read(scene: &Scene) -> Result<()> {
    let seen = scene.testbed.aws().gateway().seen(&key(scene));
    ensure!(!seen.is_empty(), "no call was seen");
    let writes: Vec<_> = seen.iter().filter(|call| !call.is_read).map(|call| &call.operation).collect();
    ensure!(writes.is_empty(), "it has called {writes:?}");
    Ok(())
}

#[test]
fn a_plan_tells_what_a_new_stack_and_an_edit_take_and_changes_nothing() -> Result<()> {
    scene("told").play_from_the_start(async |scene| {
        let manifest = scene.manifest().clone();
        let new = plan_of(scene, &[], &manifest).await?;
        ensure_eq!(new.code, Some(2), "the exit code");
        let names = format!("sumu-{}-live-????????", scene.namespace);
        let tables = [format!("  + table connections ({names}-connections)\n"), format!("+ api ({names})\n")];
        ensure_says(&new, &tables.each_ref().map(String::as_str))?;
        ensure_says(
            &new,
            &["live, a new stack, in account", "+ function pusher", "+ stage live", "; no data is lost."],
        )?;
        ensure!(!scene.stack.exists().await?, "the plan has made the object");
        let made = scene.inventory().await?;
        ensure!(made.is_empty(), "the plan has made {made}");

        scene.apply().await?;
        scene.ready().await?;
        let name = format!("{}/live", scene.namespace);
        for settled in [plan_of(scene, &[], &manifest).await?, plan(scene, &[&name], &Value::Null).await?] {
            ensure_eq!(settled.code, Some(0), "the exit code of {settled:#?}");
            ensure!(settled.stdout.ends_with(NOTHING), "{settled:#?}");
        }

        let edited = with(scene, "/spec/pusher/maxConcurrency", json!(99));
        let told = plan_of(scene, &["--output", "json"], &edited).await?;
        ensure_eq!(told.code, Some(2), "the exit code");
        let told: Value = serde_json::from_str(&told.stdout)?;
        let steps = told["stacks"][0]["steps"].as_array().context("no steps")?;
        let mut texts: Vec<&str> = steps.iter().filter_map(|step| step["text"].as_str()).collect();
        texts.sort_unstable();
        let expected = [
            "~ event source notifications queue to pusher",
            "~ event source pushes queue to pusher",
            "~ function pusher configuration",
        ];
        ensure_eq!(texts, expected, "the steps of an edit");
        ensure_eq!(told["stacks"][0]["losesData"], json!(false), "whether data is lost");
        ensure_only_read(scene)?;
        scene.edit(json!({"pusher": {"maxConcurrency": 99}})).await?;
        ensure!(plan_of(scene, &[], &edited).await?.stdout.ends_with(NOTHING), "the edit is made");
        Ok(())
    })
}

#[test]
fn a_plan_names_what_a_deletion_would_lose_and_what_is_not_the_stacks() -> Result<()> {
    scene("untold").play(async |scene| {
        let manifest = scene.manifest().clone();
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        sqs.send_message().queue_url(scene.text("/messages/queueUrl")?).message_body("hello").send().await?;
        let before = scene.inventory().await?.to_string();
        let name = format!("{}/live", scene.namespace);
        let told = plan(scene, &[&name, "--delete"], &Value::Null).await?;
        let lost =
            ["- table connections  ! data loss: its rows", "- queue messages  ! data loss: 1 message\n", "- api "];
        ensure_says(&told, &lost)?;
        let retained = plan_of(scene, &["--delete"], &with(scene, "/spec/deletionPolicy", json!("Retain"))).await?;
        ensure_says(&retained, &["~ table connections our tags off", "0 to delete; no data is lost."])?;
        ensure_eq!(scene.inventory().await?.to_string(), before, "what is in AWS");
        ensure!(scene.stack.object().await?["metadata"]["deletionTimestamp"].is_null(), "the object is deleted");

        // Nobody may mend it before it was seen.
        scene.kill_operator()?;
        let tables = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
        let arn = scene.text("/connectionsTable/arn")?.to_owned();
        let uid = scene.stack.object().await?["metadata"]["uid"].as_str().context("no UID")?.to_owned();
        let owner = async |uid: &str| {
            let tag = aws_sdk_dynamodb::types::Tag::builder().key("sumu.live/owner").value(uid).build()?;
            tables.tag_resource().resource_arn(&arn).tags(tag).send().await?;
            Ok::<_, Error>(())
        };
        owner("somebody else").await?;
        let told = plan_of(scene, &[], &manifest).await?;
        ensure_eq!(told.code, Some(2), "the exit code");
        let table =
            format!("… table connections ({}-connections) exists but is not tagged", names_begin(&scene.status)?);
        ensure_says(&told, &["not without you:", &table])?;
        owner(&uid).await?;
        ensure_only_read(scene)?;
        scene.start_operator()
    })
}

/// Fails unless the manifest with another member is refused with these words.
async fn refused(scene: &Scene, pointer: &str, value: Value, words: &[&str]) -> Result<()> {
    let told = plan(scene, &["--filename", "-"], &with(scene, pointer, value)).await?;
    ensure_eq!(told.code, Some(1), "the exit code of {told:#?}");
    ensure_says(&told, words)
}

#[test]
fn a_wrong_manifest_is_refused_with_its_field_and_what_was_not_checked_is_told() -> Result<()> {
    scene("mistold").play_from_the_start(async |scene| {
        refused(scene, "/spec/pusher/maxSpeed", json!(1), &["unknown field spec.pusher.maxSpeed: correct its name"])
            .await?;
        refused(scene, "/spec/presence/source", json!("Nowhere"), &["Nowhere", "Stream"]).await?;
        let rule = ["the API server refuses", "spec.aws.externalId needs spec.aws.roleArn"];
        refused(scene, "/spec/aws/externalId", json!("tenant-1"), &rule).await?;
        refused(scene, "/kind", json!("Stack"), &["there is no SumuStack in standard input"]).await?;
        let absent = plan(scene, &[&format!("{}/absent", scene.namespace)], &Value::Null).await?;
        ensure_eq!(absent.code, Some(1), "the exit code of {absent:#?}");
        ensure_says(&absent, &["the cluster has no SumuStack"])?;

        let settings = Settings {
            kubeconfig: Some(PathBuf::from("there-is-none")),
            key: Some(key(scene)),
            arguments: provision(scene.testbed)?,
            ..Settings::default()
        };
        let manifest = format!("kind: Other\n---\n{}", with(scene, "/spec/aws/externalId", json!("tenant-1")));
        let alone = tell(scene.testbed, &settings, &["plan", "-f", "-"], &manifest).await?;
        ensure_eq!(alone.code, Some(0), "the exit code without a cluster: {alone:#?}");
        ensure_says(&alone, &["note: no API server could be asked", "+ table presence", "skipped: Other"])?;
        ensure_only_read(scene)?;
        scene.apply().await?;
        scene.ready().await?;
        refused(scene, "/spec/aws/region", json!("eu-west-1"), &["spec.aws.region cannot change"]).await
    })
}

#[test]
fn the_roles_that_are_told_are_those_that_a_stack_has() -> Result<()> {
    scene("roles").spec(json!({"presence": {"gracePeriodSeconds": 30}})).play(async |scene| {
        let iam = aws_sdk_iam::Client::new(&scene.sdk().await);
        let name = format!("{}/live", scene.namespace);
        let settings = Settings { key: Some(key(scene)), ..Settings::default() };
        let manifest = scene.manifest().to_string();
        for arguments in [&["iam", "--stack", &name][..], &["iam", "--stack", "-f", "-"]] {
            let told = tell(scene.testbed, &settings, arguments, &manifest).await?;
            ensure_eq!(told.code, Some(0), "the exit code of {told:#?}");
            let told: Value = serde_json::from_str(&told.stdout)?;
            let roles = told["stacks"][0]["roles"].as_object().context("no roles")?;
            ensure_eq!(roles.len(), 4, "roles");
            for (function, role) in roles {
                let name = role["roleName"].as_str().context("no name")?;
                let found = iam.get_role().role_name(name).send().await?.role.context("no role")?;
                let trust = decoded(found.assume_role_policy_document().context("no trust")?)?;
                ensure_eq!(Document::parse(&role["trust"].to_string()), trust, "the trust of {function}");
                let found = iam.get_role_policy().role_name(name).policy_name("sumu").send().await?;
                let policy = Document::parse(&role["policies"]["sumu"].to_string());
                ensure_eq!(policy, decoded(found.policy_document())?, "the policy of {function}");
            }
        }
        Ok(())
    })
}

fn decoded(document: &str) -> Result<Document> {
    Ok(Document::parse(&percent_encoding::percent_decode_str(document).decode_utf8()?))
}

#[test]
fn the_roles_of_a_stack_that_nobody_has_made_have_wildcards_for_what_is_not_known() -> Result<()> {
    story(async |testbed| {
        let manifest = sumu_tests::stack::manifest(testbed, "apps", "never").to_string();
        let settings = Settings { kubeconfig: Some(PathBuf::from("there-is-none")), ..Settings::default() };
        let arguments = ["iam", "--stack", "-f", "-", "--account", "123456789012", "--region", "eu-west-1"];
        let told = tell(testbed, &settings, &arguments, &manifest).await?;
        ensure_eq!(told.code, Some(0), "the exit code of {told:#?}");
        let pusher = "arn:aws:execute-api:eu-west-1:123456789012:*/live/POST/@connections/*";
        ensure_says(&told, &[pusher, "sumu-apps-never-????????-pusher"])
    })
}

#[test]
fn a_full_disk_is_told_and_whoever_reads_no_further_is_not_disturbed() -> Result<()> {
    let iam = |output: Stdio| -> Result<Output> {
        let mut command = std::process::Command::new(workspace::program("sumu-operator")?);
        Ok(command
            .args(["iam", "--account", ACCOUNT])
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()?)
    };
    let full = iam(std::fs::File::options().write(true).open("/dev/full")?.into())?;
    let told = String::from_utf8_lossy(&full.stderr).into_owned();
    ensure_eq!(full.status.code(), Some(1), "the exit code, and {told}");
    ensure!(told.contains("cannot write to the standard output") && !told.contains("panicked"), "{told}");
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let unread = iam(writer.into())?;
    ensure_eq!(
        (unread.status.code(), unread.stderr.len()),
        (Some(0), 0),
        "the exit code, and the length of what is told"
    );
    Ok(())
}
