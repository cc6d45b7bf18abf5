//! The image's operator and the image's packages, as far as they come without a kubelet: a whole stack.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use sumu_contract::Function;
use sumu_tests::image::{self, Image};
use sumu_tests::{Context, Result, ensure_eq, workspace};

use crate::bucket::code_of;
use crate::scene::scene;

/// The functions' programs with other bytes than the testbed's packages have, which do the same: who runs a program does
/// not read what is behind it.
fn other_functions() -> Result<tempfile::TempDir> {
    let (folder, built) = (tempfile::tempdir()?, workspace::programs()?);
    for name in workspace::FUNCTIONS {
        let path = folder.path().join(name);
        std::fs::copy(built.join(name), &path)?;
        std::fs::OpenOptions::new().append(true).open(&path)?.write_all(b"of the image")?;
    }
    Ok(folder)
}

/// What the image says that its packages' hashes are.
fn told(functions: &Path) -> Result<Value> {
    let path = functions.join(workspace::architecture()).join("codeSha256.yaml");
    let told: Value = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    Ok(told["codeSha256"].clone())
}

#[test]
fn the_operator_of_the_image_makes_a_stack_of_the_images_packages_that_clients_and_backends_use() -> Result<()> {
    scene("image").play_from_the_start(async |scene| {
        let programs = other_functions()?;
        let image = Image::with_functions(programs.path())?;
        scene.operate_from(&image).await?;
        scene.apply().await?;
        scene.ready().await?;
        image::ensure_is_not_root(scene.operator.pid())?;

        let told = told(&image.functions())?;
        for function in Function::ALL {
            let hash = told[function.as_str()].as_str().context("no hash")?;
            ensure_eq!(code_of(scene, function).await?.as_deref(), Some(hash), "the code of {function}");
        }
        let mut alice = scene.connect("alice").await?;
        alice.ping().await?;
        let request = json!({"users": ["alice"], "data": "from the image"}).to_string();
        scene.backend()?.publish(scene.text("/notifications/topicArn")?, &request).await?;
        ensure_eq!(alice.next().await?, json!("from the image"), "the push");
        Ok(())
    })
}
