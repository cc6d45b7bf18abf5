//! The blocks that are programs, each started as a file that has exactly the block's text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use sumu_tests::backend::{Backend, Received};
use sumu_tests::document::Block;
use sumu_tests::guard::{Guarded, Program};
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, eventually, workspace};

use crate::scene::Scene;

/// Interpreters need seconds to start on a busy machine.
const SAID_WITHIN: Duration = Duration::from_mins(1);

/// A folder with all that the examples take as given.
pub struct Workshop<'a> {
    scene: &'a Scene,
    folder: PathBuf,
    backend: Backend,
}

impl<'a> Workshop<'a> {
    pub fn open(scene: &'a Scene) -> Result<Self> {
        let folder = scene.testbed.folder().data("protocol")?;
        std::fs::write(folder.join("status.json"), scene.status.to_string())?;
        std::fs::copy(workspace::root().join("tests/testbed/node/browser.mjs"), folder.join("browser.mjs"))?;
        std::os::unix::fs::symlink(workspace::node_modules()?, folder.join("node_modules"))?;
        Ok(Self { scene, folder, backend: scene.backend()? })
    }

    /// Starts a program in the folder, with a user's token and a backend's settings of AWS.
    fn start(&self, name: &str, program: &Path, arguments: &[&str]) -> Result<Guarded> {
        let program = Program::new(format!("protocol-{name}"), "env")
            .argument("-C")
            .argument(&self.folder)
            .argument(program)
            .arguments(arguments)
            .clean_environment()
            .variable("SUMU_ENDPOINT", self.scene.text("/endpoint")?)
            .variable("SUMU_TOKEN", self.scene.testbed.issuer().token(name).sign()?)
            .variables(self.scene.testbed.aws().variables());
        self.scene.testbed.folder().start(&program)
    }

    fn start_javascript(&self, name: &str, block: &Block) -> Result<Guarded> {
        let file = format!("{name}.mjs");
        std::fs::write(self.folder.join(&file), &block.text)?;
        self.start(name, Path::new("node"), &["--import", "./browser.mjs", &file])
    }

    fn start_python(&self, name: &str, block: &Block) -> Result<Guarded> {
        let file = format!("{name}.py");
        std::fs::write(self.folder.join(&file), &block.text)?;
        self.start(name, &workspace::python()?, &[&file])
    }

    pub async fn subprotocol(&self, block: &Block) -> Result<()> {
        let mut browser = self.start_javascript("page", block)?;
        says(&mut browser, r#"{"type":"pong","statusCode":200,"#).await
    }

    pub async fn javascript_client(&self, block: &Block) -> Result<()> {
        let mut client = self.start_javascript("javascript", block)?;
        says(&mut client, "accepted 202 1\n").await?;
        self.is_heard("javascript", r#"{"text":"hello from JavaScript"}"#).await?;
        self.push_to("javascript").await?;
        says(&mut client, "pushed {\"type\":\"greeting\"}\n").await
    }

    /// The example is compiled like any other program here, so it must be the same as the document's.
    pub async fn rust_client(&self, block: &Block) -> Result<()> {
        let compiled = std::fs::read_to_string(workspace::root().join("tests/examples/client.rs"))?;
        ensure!(block.text == compiled, "the block is not tests/examples/client.rs");
        let mut client = self.start("rust", &workspace::program("examples/client")?, &[])?;
        says(&mut client, r#"{"type":"accepted","statusCode":202,"action":"send","#).await?;
        says(&mut client, r#"{"type":"pong","#).await?;
        self.is_heard("rust", r#"{"text":"hello from Rust"}"#).await?;
        self.push_to("rust").await?;
        says(&mut client, "{\"type\":\"greeting\"}\n").await
    }

    pub async fn push(&self, block: &Block) -> Result<()> {
        let mut alice = self.scene.connect("alice").await?;
        let mut bob = self.scene.connect("bob").await?;
        succeeds(&mut self.start_python("push", block)?).await?;
        ensure_eq!(alice.next().await?, json!({"type": "greeting", "message": "hello"}), "what came to alice");
        ensure_eq!(bob.next().await?, json!({"type": "news"}), "what came to bob");
        alice.ensure_silent().await?;
        bob.ensure_silent().await
    }

    pub async fn receive(&self, block: &Block) -> Result<()> {
        let mut backend = self.start_python("receive", block)?;
        let mut dave = self.scene.connect("dave").await?;
        dave.ask(&json!({"action": "send", "message": {"text": "hi"}})).await?;
        // Whoever believed the body would take this for the truth.
        let lie = json!({"type": "presence", "message": {"user_id": "eve", "status": "ONLINE", "timestamp": 1}});
        dave.ask(&json!({"action": "send", "message": lie})).await?;
        says(&mut backend, "dave is ONLINE\n").await?;
        says(&mut backend, "dave says {'text': 'hi'}\n").await?;
        says(&mut backend, "dave says {'message': {'status': 'ONLINE'").await?;
        ensure!(!said(&backend)?.contains("eve is"), "it believed the body");
        Ok(())
    }

    pub async fn subscribe(&self, block: &Block) -> Result<()> {
        let mut program = self.start_python("subscribe", block)?;
        succeeds(&mut program).await?;
        let said = said(&program)?;
        let queue = said.trim();
        let mut client = self.scene.connect("alice").await?;
        let reply = client.ask(&json!({"action": "publish", "message": ["for all"]})).await?;
        let is_it = |message: &Received| message.attribute("request_id") == reply["requestId"].as_str();
        let received = self.backend.inbox(queue).take("what was published", is_it).await?;
        ensure_eq!(received.body, r#"["for all"]"#, "the body");
        ensure_eq!(received.attribute("source"), Some("apigw.route.publish"), "the source");
        self.backend.unsubscribe(self.scene.text("/messages/topicArn")?, queue).await
    }

    pub async fn who(&self, block: &Block) -> Result<()> {
        let mut inbox = self.backend.inbox(self.scene.text("/messages/queueUrl")?);
        let erin = self.scene.connect("erin").await?;
        let is_told = |event: &Received| {
            event.attribute("source") == Some("lambda.presence.watchdog") && event.attribute("user_id") == Some("erin")
        };
        inbox.take("that erin is online", is_told).await?;
        let mut program = self.start_python("who", block)?;
        succeeds(&mut program).await?;
        ensure_eq!(said(&program)?, "erin is ONLINE\nfrank is OFFLINE\n", "what it printed");
        erin.close().await
    }

    /// A client's message reaches backends.
    async fn is_heard(&self, user: &str, body: &str) -> Result<()> {
        let mut inbox = self.backend.inbox(self.scene.text("/messages/queueUrl")?);
        let is_it = |message: &Received| {
            message.attribute("source") == Some("apigw.route.send") && message.attribute("user_id") == Some(user)
        };
        let heard = inbox.take("the message", is_it).await?;
        ensure_eq!(heard.body, body, "the message");
        Ok(())
    }

    async fn push_to(&self, user: &str) -> Result<()> {
        let request = json!({"users": [user], "data": {"type": "greeting"}}).to_string();
        self.backend.send(self.scene.text("/notifications/queueUrl")?, &request).await.map(|_| ())
    }
}

fn said(program: &Guarded) -> Result<String> {
    Ok(std::fs::read_to_string(program.log())?)
}

/// Waits until a running program has printed something.
async fn says(program: &mut Guarded, what: &str) -> Result<()> {
    eventually(SAID_WITHIN, &format!("the example to print {what:?}"), async || {
        // An end is not "not yet": it will not print any more.
        if let Err(ended) = program.ensure_running() {
            return Ok(Err(ended));
        }
        let said = said(program)?;
        if said.contains(what) { Ok(Ok(())) } else { Err(Error::new(format!("it printed {said:?}"))) }
    })
    .await?
}

/// Waits for a program's end, which must be a good one.
async fn succeeds(program: &mut Guarded) -> Result<()> {
    let ended = eventually(SAID_WITHIN, "the example to end", async || program.ended()?.context("it runs")).await?;
    ensure!(ended.success(), "it ended with {ended}: {}", said(program)?);
    Ok(())
}
