//! What Helm tells whoever has installed the chart.

use serde_json::{Value, json};
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::cluster::{Cluster, NAMESPACE, RELEASE, run};

/// What a person would give `kubectl apply` by the notes.
fn manifest(notes: &str) -> Result<&str> {
    let (_, rest) = notes.split_once("<<'END'\n").context("the notes apply nothing")?;
    Ok(rest.split_once("\nEND\n").context("the manifest has no end")?.0)
}

#[test]
fn the_notes_teach_the_stack_of_the_readme_and_the_api_server_admits_it() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let notes = cluster.helm.ok(&["get", "notes", RELEASE, "--namespace", NAMESPACE]).await?;
        let manifest = manifest(&notes)?;
        let dry = ["create", "--dry-run=server", "--validate=strict", "--namespace=default", "--filename=-"];
        cluster.kubernetes.kubectl_ok(&dry, manifest).await?;

        let readme = std::fs::read_to_string(workspace::root().join("README.md"))?;
        let (_, block) = readme.split_once("```yaml\n").context("the README has no stack")?;
        let (block, _) = block.split_once("```").context("its block has no end")?;
        let (taught, told): (Value, Value) = (serde_saphyr::from_str(manifest)?, serde_saphyr::from_str(block)?);
        ensure_eq!(taught["spec"], told["spec"], "the stack");
        let issuer = &taught["spec"]["authorizer"]["issuers"][0];
        // Without these a token that was made for anybody else would do.
        ensure!(issuer["issuer"].is_string() && issuer["audiences"].is_array(), "it lets others in: {issuer}");
        Ok(())
    })
}

#[test]
fn the_notes_say_what_to_do_next_and_what_to_do_when_it_does_not_work() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let notes = cluster.helm.ok(&["get", "notes", RELEASE, "--namespace", NAMESPACE]).await?;
        for words in [
            "kubectl rollout status --namespace sumu-system deployment/sumu-operator",
            "helm test sumu-operator --namespace sumu-system",
            "kubectl wait --namespace default --for=condition=Ready",
            "jsonpath='{.status.endpoint}",
            "kubectl describe sumu live --namespace default",
            "kubectl logs --namespace sumu-system deployment/sumu-operator",
            "eks\\.amazonaws\\.com/role-arn",
            "create-pod-identity-association --cluster-name CLUSTER --namespace sumu-system",
            "Delete all stacks before you uninstall this release: until then it is refused.",
        ] {
            ensure!(notes.contains(words), "the notes have no {words:?}:\n{notes}");
        }
        Ok(())
    })
}

#[test]
fn the_readme_quotes_the_operators_own_words_and_the_commands_that_it_knows() -> Result<()> {
    let root = workspace::root();
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let (_, rest) = readme.split_once("When it goes wrong:").context("nothing goes wrong")?;
    let (table, _) = rest.split_once("\n\n[").context("the table has no end")?;
    for (words, source) in [
        ("cannot list sumustacks.sumu.live: is the CRD installed", "operator/src/controller.rs"),
        ("no credentials:", "operator/src/cloud/error.rs"),
        // What this begins with, and how it goes on, is seen where a release is uninstalled.
        ("a SumuStack", "operator/src/uninstall.rs"),
    ] {
        ensure!(table.contains(words), "the README does not say {words:?}");
        ensure!(std::fs::read_to_string(root.join(source))?.contains(words), "{source} does not say {words:?}");
    }
    let (_, iam) = readme.split_once("docker run --rm REPOSITORY/sumu-operator:0.1.0 ").context("no docker run")?;
    let (arguments, _) = iam.split_once(" > policy.json").context("no policy")?;
    let arguments = arguments.replace("ACCOUNT", "123456789012").replace("REGION", "eu-west-1");
    let program = workspace::program("sumu-operator")?;
    let output = std::process::Command::new(program).args(arguments.split(' ')).output()?;
    let policy: Value = serde_json::from_slice(&output.stdout)?;
    ensure_eq!(policy["Version"], json!("2012-10-17"), "the policy");
    // What IAM takes as a policy in a role.
    let length = policy.to_string().len();
    ensure!(length <= 10_240, "it has {length} characters");
    Ok(())
}

#[test]
fn the_notes_do_not_wait_for_an_operator_that_does_not_run() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        cluster.restricted_namespace("sumu-none").await?;
        let role = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/sumu-operator"});
        let values = json!({"crds": {"enabled": false}, "replicas": 0, "serviceAccount": {"annotations": role}});
        let told = cluster.install("none", "sumu-none", &values).await?;
        let (_, notes) = told.split_once("NOTES:").context("no notes")?;
        ensure!(notes.contains("It is scaled to zero"), "the notes say {notes}");
        for words in ["rollout status", "kubectl wait", "helm test", "AWS credentials"] {
            ensure!(!notes.contains(words), "the notes say {notes}");
        }
        Ok(())
    })
}
