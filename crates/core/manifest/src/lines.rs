//! On which line stands a field?

use model::pointer;

/// Where the fields of one object stand: 12 bytes per field, because an agent keeps these for as long as the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// 64-bit hashes of JSON pointers, sorted; `lines` runs parallel.
    hashes: Box<[u64]>,
    lines: Box<[u32]>,
}

impl Lines {
    /// Returns the line of the field that a JSON pointer names, from 1.
    pub fn get(&self, pointer: &str) -> Option<u32> {
        let at = self.hashes.binary_search(&hash(START, pointer)).ok()?;
        self.lines.get(at).copied()
    }

    /// Returns how many fields have a line.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// Collects lines while an object is walked.
#[derive(Default)]
pub(crate) struct Collector {
    found: Vec<(u64, u32)>,
}

/// A JSON pointer under construction, as its hash.
#[derive(Clone, Copy)]
pub(crate) struct At(u64);

/// FNV-1a: the hash of a longer pointer follows from that of its beginning.
const START: u64 = 0xcbf2_9ce4_8422_2325;

fn hash(start: u64, text: &str) -> u64 {
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl At {
    /// The object as a whole.
    pub(crate) const ROOT: Self = Self(START);

    /// Goes to a field.
    pub(crate) fn field(self, name: &str) -> Self {
        if name.contains(['~', '/']) {
            Self(hash(hash(self.0, "/"), &pointer::escape(name)))
        } else {
            Self(hash(hash(self.0, "/"), name))
        }
    }

    /// Goes to an item of a list.
    pub(crate) fn item(self, index: usize) -> Self {
        self.field(&index.to_string())
    }
}

impl Collector {
    /// Notes a line.
    pub(crate) fn note(&mut self, at: At, line: u32) {
        self.found.push((at.0, line));
    }

    /// Returns what was noted, ready for look-up.
    pub(crate) fn finish(mut self) -> Lines {
        self.found.sort_unstable();
        Lines {
            hashes: self.found.iter().map(|(hash, _)| *hash).collect(),
            lines: self.found.iter().map(|(_, line)| *line).collect(),
        }
    }
}
