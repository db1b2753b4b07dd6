//! Where does one JSON value of a watch stream end and the next begin?
//!
//! Servers write one value per line, but some print errors over several lines: values are told apart by their brackets.

/// A value of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it came.
    Value(Vec<u8>),
    /// Longer than we take; its bytes are gone.
    TooLong,
}

/// Something between values that is no white space; what follows cannot be trusted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Cuts a stream into values, whatever chunks it comes in.
#[derive(Debug)]
pub(crate) struct Pieces {
    longest: usize,
    buffer: Vec<u8>,
    /// Where the value under way begins in the buffer.
    start: usize,
    /// How far the buffer has been looked at.
    seen: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    is_too_long: bool,
}

impl Pieces {
    /// Makes a cutter for values of at most `longest` bytes.
    pub(crate) fn new(longest: usize) -> Self {
        Self {
            longest,
            buffer: Vec::new(),
            start: 0,
            seen: 0,
            depth: 0,
            in_text: false,
            escaped: false,
            is_too_long: false,
        }
    }

    /// Takes the next bytes of the stream; `next` is called until it has no more.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Returns the next whole value.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Garbage> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if self.depth == 0 {
                match byte {
                    b'{' => {
                        self.start = self.seen - 1;
                        self.depth = 1;
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => self.start = self.seen,
                    _ => return Err(Garbage),
                }
                continue;
            }
            if self.is_end(byte) {
                return Ok(Some(self.cut()));
            }
        }
        if self.seen - self.start > self.longest {
            self.is_too_long = true;
        }
        if self.is_too_long {
            self.start = self.seen;
        }
        Ok(None)
    }

    fn is_end(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            b'{' | b'[' if !self.in_text => self.depth += 1,
            b'}' | b']' if !self.in_text => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }

    fn cut(&mut self) -> Piece {
        let value = &self.buffer[self.start..self.seen];
        let piece = if self.is_too_long || value.len() > self.longest {
            Piece::TooLong
        } else {
            Piece::Value(value.to_vec())
        };
        self.is_too_long = false;
        self.start = self.seen;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], chunk: usize, longest: usize) -> Vec<String> {
        let mut pieces = Pieces::new(longest);
        let mut found = Vec::new();
        for chunk in stream.chunks(chunk) {
            pieces.push(chunk);
            loop {
                match pieces.next() {
                    Ok(Some(Piece::Value(value))) => found.push(String::from_utf8(value).unwrap()),
                    Ok(Some(Piece::TooLong)) => found.push("too long".into()),
                    Ok(None) => break,
                    Err(Garbage) => {
                        found.push("garbage".into());
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn any_chunking_gives_the_same_values() {
        let stream = "{\"a\":\"}\\\"{ü\"}\n{\n  \"b\": [{}]\n}\r\n\n{\"c\":1}{\"cut\":".as_bytes();
        for chunk in 1..=stream.len() {
            assert_eq!(
                cut(stream, chunk, 100),
                ["{\"a\":\"}\\\"{ü\"}", "{\n  \"b\": [{}]\n}", "{\"c\":1}"],
                "chunks of {chunk}"
            );
        }
    }

    #[test]
    fn a_long_value_is_dropped_and_its_neighbours_stay() {
        let stream = format!("{{\"a\":1}}{{\"b\":\"{}\"}}{{\"c\":1}}", "}".repeat(500));
        for chunk in [1, 7, 64, 10_000] {
            assert_eq!(cut(stream.as_bytes(), chunk, 20), ["{\"a\":1}", "too long", "{\"c\":1}"]);
        }
    }

    #[test]
    fn a_long_value_does_not_fill_memory() {
        let mut pieces = Pieces::new(1_000);
        pieces.push(b"{\"a\":\"");
        for _ in 0..1_000 {
            pieces.push(&[b'x'; 1_000]);
            assert_eq!(pieces.next(), Ok(None));
        }
        assert!(pieces.buffer.len() <= 3_000);
    }

    #[test]
    fn garbage_is_not_skipped() {
        assert_eq!(cut(b"{}<html>{}", 3, 100), ["{}", "garbage"]);
        assert_eq!(cut(b"}", 1, 100), ["garbage"]);
    }
}
