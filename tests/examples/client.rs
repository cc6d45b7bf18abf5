//! Connects, sends one message, and prints every frame that comes.

use std::error::Error;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Below the ten minutes after which API Gateway closes an idle connection.
const KEEP_ALIVE: Duration = Duration::from_mins(9);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut request = std::env::var("SUMU_ENDPOINT")?.into_client_request()?;
    let bearer = format!("Bearer {}", std::env::var("SUMU_TOKEN")?);
    request.headers_mut().insert("Authorization", bearer.parse()?);
    let (mut socket, _) = connect_async(request).await?;

    let hello = json!({"action": "send", "id": 1, "message": {"text": "hello from Rust"}});
    socket.send(Message::text(hello.to_string())).await?;

    let mut keep_alive = tokio::time::interval(KEEP_ALIVE);
    loop {
        tokio::select! {
            _ = keep_alive.tick() => socket.send(Message::text(r#"{"action":"ping"}"#)).await?,
            frame = socket.next() => match frame.transpose()? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(_) => {}
                // Connect again, after a pause of random length.
                None => return Ok(()),
            },
        }
    }
}
