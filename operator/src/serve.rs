//! The operator's own little web server: `/metrics`, `/healthz` and `/readyz`.
//!
//! - `/healthz` is 200 while the process can answer. An operator that can do nothing useful ends by itself, so this is
//!   for the cluster to notice one that hangs.
//! - `/readyz` is 200 from when the API server has answered and knows `SumuStack`, until the operator is told to stop.
//!   It says nothing of AWS, and an operator that stands by for the leader is as ready as the leader: a rollout must not
//!   wait for a lease that the old one gives back only when it is stopped.
//!
//! Three fixed answers to requests without a body need no server library: a head is read and parsed by `httparse`, as
//! hyper does it, one answer is written, and the connection ends.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, info};

use crate::metrics::Metrics;

/// Who connects and then says nothing is not waited for.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// More than any client of these paths sends.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Whether the operator is ready.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Says whether it is.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves until the process ends.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "serving metrics");
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, Arc::clone(&metrics), Arc::clone(&readiness)));
                }
                // Out of file descriptors, say: the next attempt may find one.
                Err(error) => {
                    debug!(error = &error as &dyn std::error::Error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

/// One request a connection: Prometheus and the kubelet come seldom, and an idle connection would be kept for nobody.
async fn connection(mut stream: TcpStream, metrics: Arc<Metrics>, readiness: Arc<Readiness>) {
    let talk = async {
        let head = read_head(&mut stream).await?;
        let (status, kind, body) = answer(&head, &metrics, &readiness);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    };
    match tokio::time::timeout(REQUEST_WITHIN, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = &error as &dyn std::error::Error, "connection ended"),
        Err(_) => debug!("connection ended: no request in time"),
    }
}

/// Reads up to the empty line, and no further than a head of these paths can be long.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        let mut some = [0; 1024];
        match stream.read(&mut some).await? {
            0 => break,
            count => head.extend_from_slice(&some[..count]),
        }
    }
    Ok(head)
}

/// Status, content type and body.
fn answer(head: &[u8], metrics: &Metrics, readiness: &Readiness) -> (&'static str, &'static str, Cow<'static, str>) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(head).is_ok_and(|parsed| parsed.is_complete()) {
        return ("400 Bad Request", TEXT, "no request".into());
    }
    if request.method != Some("GET") {
        return ("405 Method Not Allowed", TEXT, "only GET".into());
    }
    let path = request.path.and_then(|path| path.split('?').next()).unwrap_or_default();
    match path {
        "/healthz" => ("200 OK", TEXT, "ok".into()),
        "/readyz" if readiness.get() => ("200 OK", TEXT, "ok".into()),
        "/readyz" => ("503 Service Unavailable", TEXT, "not ready".into()),
        "/metrics" => match metrics.text() {
            Ok(metrics) => ("200 OK", prometheus_text::CONTENT_TYPE, metrics.into()),
            Err(_) => ("500 Internal Server Error", TEXT, "the metrics cannot be written as text".into()),
        },
        _ => ("404 Not Found", TEXT, "there are /metrics, /healthz and /readyz".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str, readiness: &Readiness) -> &'static str {
        let (status, ..) = answer(head.as_bytes(), &Metrics::default(), readiness);
        status.split(' ').next().unwrap()
    }

    #[test]
    fn it_is_healthy_while_it_answers_and_ready_when_it_says_so() {
        let readiness = Readiness::default();
        let get = |path: &str| status(&format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n"), &readiness);
        assert_eq!([get("/healthz"), get("/readyz"), get("/metrics"), get("/")], ["200", "503", "200", "404"]);
        readiness.set(true);
        assert_eq!(get("/readyz?verbose"), "200");
    }

    #[test]
    fn what_is_no_get_request_is_refused() {
        let readiness = Readiness::default();
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n", &readiness), "405");
        for head in ["", "GET /metrics HTTP/1.1\r\n", "\u{0}\r\n\r\n"] {
            assert_eq!(status(head, &readiness), "400", "{head:?}");
        }
    }
}
