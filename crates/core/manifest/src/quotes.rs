//! Does a quoted text run on into lines that are indented too little? YAML 1.2 forbids it; kubectl reads it.

use crate::compose;
use granit_parser::ErrorKind;

/// Most lines that are mended, and longest document that is: each line takes another look at the whole.
const MAX_LINES: usize = 64;
const MAX_LENGTH: usize = 500_000;
/// More than anything can be indented. Blanks at the beginning of a quoted line have no meaning.
const INDENTATION: usize = 2 * compose::MAX_DEPTH as usize;

/// Returns the text with such lines indented; `None` where they are not what is wrong with it.
pub(crate) fn indent(text: &str) -> Option<String> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let mut mended = text.to_owned();
    for n_mended in 0..=MAX_LINES {
        let Some(error) = compose::parser(&mended).find_map(Result::err) else {
            return (n_mended > 0).then_some(mended);
        };
        if *error.kind() != ErrorKind::InvalidQuotedScalarIndent {
            return None;
        }
        let at = line_begin(&mended, error.marker().line())?;
        mended.insert_str(at, &" ".repeat(INDENTATION));
    }
    None
}

fn line_begin(text: &str, line: usize) -> Option<usize> {
    match line.checked_sub(2) {
        Some(index) => text.match_indices('\n').nth(index).map(|(at, _)| at + 1),
        None => Some(0),
    }
}
