//! What happened, by virtual time. Two lives of one seed have one trace, to the last word.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// Clones write on the same page.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Page>>);

#[derive(Debug)]
struct Page {
    begun: Instant,
    hasher: blake3::Hasher,
    lines: Vec<String>,
    /// The first promise that was broken.
    broken: Option<String>,
}

impl Trace {
    pub(crate) fn begin() -> Self {
        let page = Page { begun: Instant::now(), hasher: blake3::Hasher::new(), lines: Vec::new(), broken: None };
        Self(Arc::new(Mutex::new(page)))
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.lock().unwrap().begun.elapsed().as_millis()).unwrap()
    }

    pub(crate) fn note(&self, who: impl Display, what: impl Display) {
        let now = self.now();
        let line = format!("{:>4}.{:03}  {who:<10} {what}", now / 1000, now % 1000);
        let mut page = self.0.lock().unwrap();
        page.hasher.update(line.as_bytes());
        page.lines.push(line);
    }

    /// A promise of the product is broken: the life ends, and its seed has failed.
    pub(crate) fn broken(&self, who: impl Display, what: impl Display) {
        self.note(&who, format!("BROKEN: {what}"));
        self.0.lock().unwrap().broken.get_or_insert_with(|| format!("{who}: {what}"));
    }

    pub(crate) fn what_is_broken(&self) -> Option<String> {
        self.0.lock().unwrap().broken.clone()
    }

    /// The last so many lines.
    pub(crate) fn end(&self, lines: usize) -> String {
        let page = self.0.lock().unwrap();
        page.lines[page.lines.len().saturating_sub(lines)..].join("\n")
    }

    pub(crate) fn hash(&self) -> String {
        self.0.lock().unwrap().hasher.finalize().to_hex()[..16].to_owned()
    }
}
