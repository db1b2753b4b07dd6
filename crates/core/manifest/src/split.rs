//! Where do the documents of a file begin and end?

use crate::compose::Chunk;
use model::Problem;
use serde::de::IgnoredAny;

/// One document's text, or why it is none.
pub(crate) type Document<'a> = Result<Chunk<'a>, Problem>;

/// Splits a file as kubectl does: objects of JSON one after the other, else YAML at lines that begin with `---`.
pub(crate) fn split<'a>(file: &'a str, text: &'a str) -> Vec<Document<'a>> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Some(documents) = json_documents(file, text)
    {
        return documents;
    }
    yaml_documents(file, text)
}

const BOM: char = '\u{feff}';

/// JSON objects one after the other; `None` where the text is not JSON throughout.
fn json_documents<'a>(file: &'a str, text: &'a str) -> Option<Vec<Document<'a>>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut documents = Vec::new();
    let (mut begin, mut lines_before) = (0, 0);
    while let Some(next) = stream.next() {
        next.ok()?;
        let document = &text[begin..stream.byte_offset()];
        documents.push(Ok(Chunk { file, text: document, lines_before }));
        lines_before += n_lines(document);
        begin = stream.byte_offset();
    }
    Some(documents)
}

fn yaml_documents<'a>(file: &'a str, text: &'a str) -> Vec<Document<'a>> {
    let mut documents = Vec::new();
    let mut document = Open { begin: 0, lines_before: 0, problem: None };
    let mut at = 0;
    for (n_before, line) in (0u32..).zip(text.split_inclusive('\n')) {
        let begin = at;
        at += line.len();
        let Some(rest) = line.strip_prefix("---") else { continue };
        document.close(file, &text[..begin], &mut documents);
        let rest = rest.trim();
        let is_clean = rest.is_empty() || rest.starts_with('#');
        let problem = (!is_clean).then(|| {
            Problem::new("something follows the `---` that separates documents")
                .at(file, n_before + 1, 4)
                .help("begin the document on the next line; kubectl reads it only there")
        });
        document = Open { begin: at, lines_before: n_before + 1, problem };
    }
    document.close(file, text, &mut documents);
    documents
}

/// The document that the lines so far belong to.
struct Open {
    begin: usize,
    lines_before: u32,
    problem: Option<Problem>,
}

impl Open {
    fn close<'a>(self, file: &'a str, text_so_far: &'a str, documents: &mut Vec<Document<'a>>) {
        let text = &text_so_far[self.begin..];
        match self.problem {
            Some(problem) => documents.push(Err(problem)),
            None if text.trim().is_empty() => {}
            None => {
                let text = text.strip_prefix(BOM).unwrap_or(text);
                documents.push(Ok(Chunk { file, text, lines_before: self.lines_before }));
            }
        }
    }
}

fn n_lines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}
