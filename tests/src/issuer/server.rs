//! Just enough HTTP to hand out keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use crate::{Context, Result};

const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// Answers until it is dropped. A request that fails is the client's to tell.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(REQUEST_WITHIN, answer(connection, &shared)).await;
        });
    }
}

/// One request a connection.
async fn answer(connection: TcpStream, shared: &Shared) -> Result<()> {
    let mut connection = BufReader::new(connection);
    let mut request = String::new();
    while connection.read_line(&mut request).await? > 0 && !request.ends_with("\r\n\r\n") {}
    let path = request.split_ascii_whitespace().nth(1).context("no request line")?;

    if shared.down.load(Ordering::Relaxed) {
        // What a client sees when a load balancer has nobody to ask.
        return reply(connection, "503 Service Unavailable", "").await;
    }
    // Some issuers want something in a query; this one takes anything.
    let keys = match path.split('?').next().unwrap_or_default() {
        "/.well-known/jwks.json" => shared.jwks()?,
        "/x509" => shared.x509(),
        _ => return reply(connection, "404 Not Found", "").await,
    };
    shared.fetches.fetch_add(1, Ordering::Relaxed);
    reply(connection, "200 OK", &keys.to_string()).await
}

async fn reply(mut connection: BufReader<TcpStream>, status: &str, body: &str) -> Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await?;
    Ok(connection.shutdown().await?)
}
