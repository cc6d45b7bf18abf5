//! Every target over its corpus, over mutations of it, and over events as large as Lambda passes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{TARGETS, Target};

/// How many mutations of its corpus each target gets.
const MUTATIONS: u32 = 4_000;

/// How long one input may take: far more than it does, because tests run beside others and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

/// The largest event that Lambda passes on.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The largest input that every target gets: nested half a million times, no stack would hold it.
const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// What parsers stumble over.
const TOKENS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b".",
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\\u0061",
    b"\xff",
    b"\xef\xbf\xbf",
    b"\xc3\xa1",
    b"\0",
    b" \n",
    b"=",
    b"\"a\":1,",
];

fn folder(name: &str) -> PathBuf {
    // Cargo's own word when it runs the test: a target folder that two checkouts share keeps the path of the one that built.
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built);
    Path::new(&crate_folder).join("fuzz").join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The corpus of a target in the order of its files' names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder("corpus").join(target.name);
    names(&folder).into_iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect()
}

fn check(target: &Target, input: &[u8]) {
    let started = Instant::now();
    let held = std::panic::catch_unwind(|| (target.check)(input));
    let shown = || input[..input.len().min(2_000)].escape_ascii().to_string();
    assert!(held.is_ok(), "{} does not hold for {}", target.name, shown());
    let took = started.elapsed();
    assert!(took < PATIENCE, "{} takes {took:?} for {}", target.name, shown());
}

/// Any place in the bytes, or their end.
fn place(random: &mut StdRng, bytes: &[u8]) -> usize {
    random.random_range(0..=bytes.len())
}

fn stretch(random: &mut StdRng, bytes: &[u8]) -> std::ops::Range<usize> {
    let (one, other) = (place(random, bytes), place(random, bytes));
    one.min(other)..one.max(other)
}

/// One to four changes to an input, of which one may be that it goes on as another one does.
fn mutate(random: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let any = |random: &mut StdRng| &corpus[random.random_range(0..corpus.len())];
    let mut input = any(random).clone();
    for _ in 0..random.random_range(1..=4) {
        let at = place(random, &input);
        match random.random_range(0..7) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = random.random(),
            2 => input.truncate(at),
            3 => drop(input.drain(stretch(random, &input))),
            4 => {
                let copy = input[stretch(random, &input)].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                let other = any(random);
                let from = place(random, other);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                let times = if random.random_range(0..8) == 0 { 200 } else { 1 };
                input.splice(at..at, token.repeat(times));
            }
        }
        // Copies of copies would grow for ever.
        input.truncate(64 * 1024);
    }
    input
}

fn exercise(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(target);
    for input in &corpus {
        check(target, input);
    }
    let mut random = StdRng::seed_from_u64(0x5375_6d75);
    for _ in 0..MUTATIONS {
        check(target, &mutate(&mut random, &corpus));
    }
}

macro_rules! exercised {
    ($($target:ident)*) => {
        const EXERCISED: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                exercise(stringify!($target));
            }
        )*
    };
}

exercised! {
    token key_document authorizer_event routes_event routes_frame push_request pusher_event watchdog_event work_item
}

#[test]
fn every_target_has_a_program_a_corpus_and_a_test() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let exercised: BTreeSet<String> = EXERCISED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(exercised, targets);
    assert_eq!(names(&folder("corpus")), targets);
    let programs: BTreeSet<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder("fuzz_targets")), programs);
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in &targets {
        let program = std::fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("sumu_lambdas::fuzzing::{name}(bytes)")), "{name}.rs runs something else");
        let named = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&named), "fuzz/Cargo.toml does not name {name}");
        let seeds = names(&folder("corpus").join(name));
        for kind in ["good", "bad", "nasty"] {
            assert!(seeds.iter().any(|seed| seed.contains(kind)), "{name} has no {kind} seed");
        }
    }
}

#[test]
fn a_target_that_does_not_hold_is_noticed() {
    let never = Target { name: "never", check: |bytes| assert!(bytes.len() > 3, "too short") };
    let noticed = std::panic::catch_unwind(|| check(&never, b"abc"));
    assert!(noticed.is_err());
    check(&never, b"abcd");
}

#[test]
fn good_seeds_are_good() {
    let read = |path: &str| std::fs::read(folder("corpus").join(path)).unwrap();
    let text = |path: &str| String::from_utf8(read(path)).unwrap();
    let event = |path: &str| serde_json::from_slice::<serde_json::Value>(&read(path)).unwrap();
    for seed in ["good_query", "good_header", "good_subprotocol"] {
        let found =
            crate::authorizer::token::find(&event(&format!("authorizer_event/{seed}")), &super::authorizer::SOURCES);
        assert_eq!(found, Some(text("token/good_es256")), "{seed}");
    }
    assert!(crate::routes::frame::Frame::parse(Some(&text("routes_frame/good_send"))).unwrap().message.is_some());
    let item = crate::pusher::item::WorkItem::parse(&text("work_item/good_cursor"));
    assert_eq!(item.unwrap().unwrap().step, 7);
    assert_eq!(crate::watchdog::event::Batch::parse(&event("watchdog_event/good_batch")).unwrap().users.len(), 3);
}

/// Inputs of `bytes` bytes that break a parser which calls itself, or one that looks at everything twice.
fn large_inputs(bytes: usize) -> Vec<Vec<u8>> {
    let fill = |head: &str, unit: &str, tail: &str| {
        let times = (bytes - head.len() - tail.len()) / unit.len();
        [head, &unit.repeat(times), tail].concat().into_bytes()
    };
    let balanced = |head: &str, tail: &str| {
        let depth = (bytes - head.len() - tail.len()) / 2;
        [head, &"[".repeat(depth), &"]".repeat(depth), tail].concat().into_bytes()
    };
    vec![
        fill("", "[", ""),
        fill("", r#"{"a":"#, ""),
        fill("", r#"{"keys":["#, ""),
        balanced("", ""),
        balanced(r#"{"Records":"#, "}"),
        balanced(r#"{"users":["a"],"data":"#, "}"),
        balanced(r#"{"users":"#, r#","data":1}"#),
        balanced(r#"{"target":{"connections":"#, r#"},"data":1}"#),
        balanced(r#"{"action":"send","message":"#, "}"),
        balanced(
            r#"{"job":"j","segment":0,"segments":4,"step":0,"ticket":"t","notification":{"target":{"broadcast":true},"data":"#,
            "}}",
        ),
        fill(r#"{"Records":["#, r#"{"messageId":"m","body":"[[["},"#, "{}]}"),
        fill(r#"{"keys":["#, r#"{"kty":"EC"},"#, "{}]}"),
        fill(r#"{"users":["#, r#""u","#, r#""u"],"data":1}"#),
        fill(r#"{"methodArn":"a","queryStringParameters":{"authorization":""#, "a", r#""}}"#),
        fill(r#"{"methodArn":"a","headers":{"authorization":"Bearer "#, ".", r#""}}"#),
        fill("\"", "\\u0000", "\""),
        fill("", ".", ""),
        fill("", "\\", ""),
        vec![0xff; bytes],
    ]
}

#[test]
fn the_largest_inputs_neither_overflow_a_small_stack_nor_take_long() {
    // Half of what Rust gives a thread, an eighth of what a process begins with.
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let all = || {
        for input in large_inputs(INPUT_BYTES_MAX) {
            assert!(input.len() > INPUT_BYTES_MAX - 64 && input.len() <= INPUT_BYTES_MAX);
            for target in &TARGETS {
                check(target, &input);
            }
        }
        let records = |input: &Vec<u8>| input.starts_with(b"{\"Records\":");
        let events: Vec<Vec<u8>> = large_inputs(EVENT_BYTES_MAX).into_iter().filter(records).collect();
        assert_eq!(events.len(), 2);
        for target in TARGETS.iter().filter(|target| target.name.ends_with("_event")) {
            for event in &events {
                check(target, event);
            }
        }
    };
    small.spawn(all).unwrap().join().unwrap();
}
