//! The fenced blocks of a Markdown document, and values that are like the ones in them.

use serde_json::Value;

use crate::{Error, Result, ensure};

/// Stands for any text that is not empty.
const ANY_TEXT: &str = "…";

/// Stands for any number.
const ANY_NUMBER: u64 = 1_790_000_000_000;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence.
    pub info: String,
    /// The number of the opening fence's line.
    pub line: usize,
    /// What stands between the fences.
    pub text: String,
}

/// All fenced blocks of a document.
///
/// Markdown knows other forms of fences and of code. They are errors, or a block in one would be overlooked.
pub fn blocks(markdown: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        match &mut open {
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {
                let words = line.trim_start();
                let is_code = words.starts_with("```") || words.starts_with("~~~") || line.starts_with("    ");
                let info = line.strip_prefix("```").filter(|info| !info.starts_with('`'));
                ensure!(info.is_some() || !is_code, "line {number}: code in another form than between lines of ```");
                open = info.map(|info| Block { info: info.to_owned(), line: number, text: String::new() });
            }
        }
    }
    match open {
        Some(block) => Err(Error::new(format!("line {}: the block does not end", block.line))),
        None => Ok(blocks),
    }
}

/// Whether a value is as a document shows it.
#[must_use]
pub fn is_like(value: &Value, shown: &Value) -> bool {
    match (value, shown) {
        (Value::String(text), Value::String(shown)) if shown == ANY_TEXT => !text.is_empty(),
        (Value::Number(_), Value::Number(shown)) if shown.as_u64() == Some(ANY_NUMBER) => true,
        (Value::Array(values), Value::Array(shown)) => {
            values.len() == shown.len() && values.iter().zip(shown).all(|(value, shown)| is_like(value, shown))
        }
        (Value::Object(members), Value::Object(shown)) => {
            let like = |(name, value)| shown.get(name).is_some_and(|shown| is_like(value, shown));
            members.len() == shown.len() && members.iter().all(like)
        }
        _ => value == shown,
    }
}
