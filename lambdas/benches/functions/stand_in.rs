//! What stands in for AWS: the management API of a WebSocket API, `DynamoDB` and SQS, on one local port and in their
//! own wire form. The connections table is made up row by row when it is read, so that a million of them cost nothing.

pub mod http;

mod dynamodb;
mod sqs;

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use self::http::{Handler, Request, Response};

/// The stand-in.
#[derive(Debug)]
pub struct StandIn {
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
    /// How long a post takes.
    post_time: Duration,
    /// How long a call to a table or a queue takes.
    store_time: Duration,
    /// How many posts each connection got.
    posts: Vec<AtomicU32>,
    total: AtomicU64,
    books: Mutex<Books>,
}

/// What is written down under a lock.
#[derive(Debug, Default)]
struct Books {
    /// Microseconds between two posts on one socket.
    rounds: Vec<u64>,
    /// When a post arrived: milliseconds since the first.
    arrivals: Vec<u32>,
    first_post: Option<Instant>,
    tables: dynamodb::Tables,
    queues: sqs::Queues,
}

/// What was seen of the posts.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// How many connections got none.
    pub missed: usize,
    /// How many posts went to a connection that had one.
    pub repeated: u64,
    /// The most posts in any second.
    pub most_in_a_second: usize,
    /// The most posts in any ten seconds.
    pub most_in_ten_seconds: usize,
    /// Milliseconds between two posts on one socket: the median and the 99th percentile.
    pub round_ms: (f64, f64),
}

impl StandIn {
    /// One with so many connections.
    pub async fn start(connections: usize, post_time: Duration, store_time: Duration) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stand_in = Arc::new(Self {
            endpoint: format!("http://{}", listener.local_addr()?),
            post_time,
            store_time,
            posts: (0..connections).map(|_| AtomicU32::new(0)).collect(),
            total: AtomicU64::new(0),
            books: Mutex::default(),
        });
        tokio::spawn(http::serve(listener, Arc::clone(&stand_in)));
        Ok(stand_in)
    }

    /// The base address of the management API.
    pub fn management_endpoint(&self) -> String {
        format!("{}/live", self.endpoint)
    }

    /// The address of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.endpoint)
    }

    /// How many posts there were.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Forgets the posts that were made so far.
    pub fn forget(&self) {
        let mut books = self.books();
        books.rounds.clear();
        books.arrivals.clear();
        books.first_post = None;
        self.total.store(0, Ordering::Relaxed);
        self.posts.iter().for_each(|posts| posts.store(0, Ordering::Relaxed));
    }

    /// What was seen of the posts.
    pub fn seen(&self) -> Seen {
        let mut books = self.books();
        books.rounds.sort_unstable();
        books.arrivals.sort_unstable();
        let counts = || self.posts.iter().map(|posts| posts.load(Ordering::Relaxed));
        Seen {
            missed: counts().filter(|count| *count == 0).count(),
            repeated: counts().map(|count| u64::from(count.saturating_sub(1))).sum(),
            most_in_a_second: most_within(1_000, &books.arrivals),
            most_in_ten_seconds: most_within(10_000, &books.arrivals),
            round_ms: (percentile(&books.rounds, 50), percentile(&books.rounds, 99)),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, request: &Request) -> Response {
        let Some(connection) = request.path.rsplit('/').next().and_then(index_of) else {
            return Response::new(400, r#"{"message":"Invalid connectionId"}"#);
        };
        let Some(posts) = self.posts.get(connection) else { return Response::new(410, "") };
        posts.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        {
            let mut books = self.books();
            let first = *books.first_post.get_or_insert_with(Instant::now);
            books.arrivals.push(u32::try_from(first.elapsed().as_millis()).unwrap_or(u32::MAX));
            books.rounds.extend(request.since_last);
        }
        take(self.post_time).await;
        Response::new(200, "")
    }
}

impl Handler for StandIn {
    async fn answer(&self, request: Request) -> Response {
        if request.path.contains("connections/") {
            return self.post(&request).await;
        }
        take(self.store_time).await;
        let Some((service, operation)) = request.target.split_once('.') else {
            return Response::new(404, format!("nothing here answers {} {}", request.method, request.path));
        };
        let mut books = self.books();
        match service {
            "AmazonSQS" => books.queues.answer(&request.body),
            _ => books.tables.answer(operation, &request.body, self.posts.len()),
        }
    }
}

/// The id of the connection of this number, with the `=` at its end that API Gateway's ids have.
pub fn connection_id(index: usize) -> String {
    format!("c{index:012}=")
}

/// The number of a connection, from its id as it stands in a path.
fn index_of(id: &str) -> Option<usize> {
    id.strip_suffix("%3D").or_else(|| id.strip_suffix('='))?.strip_prefix('c')?.parse().ok()
}

async fn take(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// In milliseconds, of sorted microseconds.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |us| *us as f64 / 1000.0)
}

/// The most of the sorted times that lie within so many milliseconds.
fn most_within(window: u32, sorted: &[u32]) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (to, at) in sorted.iter().enumerate() {
        while sorted[from] + window <= *at {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}
