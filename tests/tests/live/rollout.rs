//! An operator that brings other code than the one before it.

use std::path::Path;

use serde_json::json;
use sumu_contract::Function;
use sumu_operator::packages::Packages;
use sumu_operator::sumu_stack::Architecture;
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::bucket::code_of;
use crate::faults::common::seen;
use crate::scene::{Scene, scene};

/// The functions whose packages are others.
const NEWER: [Function; 2] = [Function::Routes, Function::Pusher];

/// A folder with the testbed's packages, some of which have other bytes and the same programs.
fn newer_functions(scene: &Scene) -> Result<String> {
    let folder = scene.testbed.folder().logs().join(format!("functions-{}", scene.namespace));
    let (from, to) = (scene.testbed.functions()?, folder.join(workspace::architecture()));
    std::fs::create_dir_all(&to)?;
    for function in Function::ALL {
        let file = format!("{function}.zip");
        let package = std::fs::read(from.join(workspace::architecture()).join(&file))?;
        let package = if NEWER.contains(&function) { with_comment(package)? } else { package };
        std::fs::write(to.join(file), package)?;
    }
    Ok(folder.display().to_string())
}

/// A zip file ends with the length of its comment and the comment.
fn with_comment(mut package: Vec<u8>) -> Result<Vec<u8>> {
    const COMMENT: &[u8] = b"another build";
    let end = package.len().checked_sub(2).context("an empty package")?;
    ensure_eq!(package[end..], [0, 0], "the length of the comment that it has");
    package.truncate(end);
    package.extend(u16::try_from(COMMENT.len())?.to_le_bytes());
    package.extend(COMMENT);
    Ok(package)
}

#[test]
fn the_code_of_another_operator_rolls_out_where_it_differs_and_keeps_who_is_connected() -> Result<()> {
    scene("rollout").play(async |scene| {
        let mut alice = scene.connect("alice").await?;
        alice.ping().await?;
        let before = scene.status.clone();
        let folder = newer_functions(scene)?;
        let packages = Packages::load(Path::new(&folder))?;
        let architecture =
            if workspace::architecture() == "arm64" { Architecture::Arm64 } else { Architecture::X86_64 };
        let hash = |function| packages.find(architecture, function).map(|package| package.code_sha256);
        scene.stop_operator()?;
        scene.start_operator_with(&["--functions-dir", &folder])?;
        let newest = [hash(NEWER[0])?, hash(NEWER[1])?];
        scene
            .until("the status to tell of the newer code", |object| {
                for (function, hash) in NEWER.into_iter().zip(&newest) {
                    let told = &object["status"]["functions"][function.as_str()]["codeSha256"];
                    ensure_eq!(*told, json!(hash), "the code of {function}");
                }
                Ok(())
            })
            .await?;
        scene.ready().await?;
        for function in Function::ALL {
            ensure_eq!(code_of(scene, function).await?, Some(hash(function)?), "the code of {function} in AWS");
            let is_other = scene.status["functions"][function.as_str()] != before["functions"][function.as_str()];
            ensure_eq!(is_other, NEWER.contains(&function), "whether the status of {function} is another");
        }
        let uploads = seen(scene.testbed.aws().gateway(), scene, "UpdateFunctionCode");
        let taken = uploads.iter().filter(|seen| seen.status < 300).count();
        ensure_eq!(taken, NEWER.len(), "packages that were uploaded: {uploads:?}");
        ensure_eq!(scene.text("/apiId")?, before["apiId"].as_str().unwrap_or_default(), "the API");

        alice.ping().await.context("who was connected before stays so")?;
        let request = json!({"users": ["alice"], "data": "by the newer code"}).to_string();
        scene.backend()?.publish(scene.text("/notifications/topicArn")?, &request).await?;
        ensure_eq!(alice.next().await?, json!("by the newer code"), "the push");
        ensure!(scene.connect("bob").await?.ping().await.is_ok(), "nobody else gets in");
        Ok(())
    })
}
