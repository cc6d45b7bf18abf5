//! An operator for chosen namespaces leaves all others alone.

use serde_json::json;
use sumu_tests::operator::{Operator, Settings};
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Result, ensure, ensure_eq, story};

#[test]
fn an_operator_for_two_namespaces_leaves_a_stack_in_a_third_alone() -> Result<()> {
    story(async |testbed| {
        let kubernetes = testbed.kubernetes();
        let mut namespaces = Vec::new();
        for name in ["chosen", "chosen", "other"] {
            namespaces.push(kubernetes.namespace(name).await?);
        }
        let [first, second, other] = &namespaces[..] else { unreachable!("there are three") };
        let settings = Settings {
            arguments: vec!["--namespaces".into(), format!("{first},{second}")],
            log: Some(first.clone()),
            ..Settings::default()
        };
        let mut operator = Operator::start(testbed, &settings)?;
        let mut stacks = Vec::new();
        // The one that is left alone comes first.
        for namespace in [other, first, second] {
            stacks.push(Stack::apply(testbed, &stack::manifest(testbed, namespace, "live")).await?);
        }
        for stack in &stacks[1..] {
            stack.ready().await?;
        }
        let object = stacks[0].object().await?;
        ensure!(object["metadata"]["finalizers"].is_null(), "it has a finalizer: {object}");
        ensure_eq!(object["status"]["observedGeneration"], json!(-1), "nobody has looked at it");
        ensure!(testbed.aws().inventory(&format!("sumu-{other}-")).await?.is_empty(), "something was made for it");

        for stack in &stacks {
            stack.delete().await?;
            stack.gone().await?;
        }
        for namespace in [first, second] {
            let left = testbed.aws().inventory(&format!("sumu-{namespace}-")).await?;
            ensure!(left.is_empty(), "left in AWS:\n{left}");
        }
        ensure!(operator.terminate()?.success(), "the operator did not end well");
        Ok(())
    })
}
