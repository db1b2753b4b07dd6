//! What is wrong with the YAML, in words for the person who wrote it?

use crate::compose::Chunk;
use granit_parser::{ErrorKind, Marker, ScanError};
use model::Problem;

/// Returns line and column in the file, both from 1.
pub(crate) fn place(mark: Marker, chunk: Chunk<'_>) -> (u32, u32) {
    let line = u32::try_from(mark.line()).unwrap_or(u32::MAX).max(1);
    let column = u32::try_from(mark.col()).unwrap_or(u32::MAX);
    (line.saturating_add(chunk.lines_before), column.saturating_add(1))
}

/// Turns the parser's error into a problem.
pub(crate) fn problem(error: &ScanError, chunk: Chunk<'_>) -> Problem {
    let (line, column) = place(*error.marker(), chunk);
    let (sentence, help) =
        if is_template(chunk, line) { (TEMPLATE.into(), TEMPLATE_HELP) } else { words(error.kind()) };
    let problem = Problem::new(sentence).at(chunk.file, line, column);
    if help.is_empty() { problem } else { problem.help(help) }
}

/// What is wrong with a template that nobody rendered.
pub(crate) const TEMPLATE: &str = "a template mark `{{` stands where YAML was expected";
/// And what to do about it.
pub(crate) const TEMPLATE_HELP: &str = "render the template first, or exclude the file from the folder";

/// Returns whether a line of the file holds a template mark.
pub(crate) fn is_template(chunk: Chunk<'_>, line: u32) -> bool {
    let index = line.saturating_sub(chunk.lines_before + 1);
    usize::try_from(index)
        .is_ok_and(|index| chunk.text.lines().nth(index).is_some_and(|line| line.contains("{{")))
}

/// Says that a document is nested too deeply.
pub(crate) fn too_deep(problem: Problem) -> Problem {
    Problem { message: "maps and lists are nested more than 100 levels deep".into(), ..problem }
}

/// A sentence and a next step; neither quotes the file, which may hold secrets.
fn words(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as E;
    let (sentence, help) = match kind {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabAtBlockScalarStart => {
            ("a tab stands where only spaces may indent", "indent with spaces")
        }
        E::InvalidQuotedScalarIndent => (
            "a text in quotes runs on into a line that is indented less",
            "close its quote, or indent the line",
        ),
        E::InvalidIndentation | E::InvalidBlockScalarIndent => {
            ("the indentation fits no enclosing level", "line it up with its neighbours above")
        }
        E::ExpectedBlockMappingKey | E::SimpleKeyExpected | E::InvalidSimpleKey => {
            ("a key and a colon were expected", "check the indentation and the quotes of the lines above")
        }
        E::MappingValueNotAllowed | E::InvalidColonPlacement | E::InvalidMappingValueWhitespace => (
            "a colon stands where no value may begin",
            "quote text that holds `: `, and check the indentation",
        ),
        E::ExpectedBlockSequenceEntry | E::BlockSequenceEntryNotAllowed | E::BlockEntryInFlowCollection => {
            ("a list item stands where none may begin", "check the indentation of its `-`")
        }
        E::UnclosedQuotedScalar => {
            ("a quote is not closed", "close it, or double a quote that is part of the text")
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            ("there is more text after the closing quote", "quote the whole value")
        }
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping => ("a bracket is not closed", ""),
        E::MismatchedFlowCollectionEnd { .. } | E::MisplacedFlowCollectionEnd => {
            ("a closing bracket has no matching opening one", "")
        }
        E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator => {
            ("a comma or a closing bracket was expected", "look for a missing comma above")
        }
        E::UnexpectedCharacter { character } if character.is_control() => {
            ("a control character stands in the file", "remove it, or write it as an escape in double quotes")
        }
        E::UnexpectedCharacter { .. } => {
            ("a value begins with a character that YAML reserves", "quote the value")
        }
        E::UnknownAnchor => ("an alias names an anchor that the document does not define above", ""),
        E::RecursionLimitExceeded => ("maps and lists are nested more than 100 levels deep", ""),
        E::UndeclaredTagHandle => {
            ("a tag has a prefix that is not declared", "quote a value that begins with `!`")
        }
        E::UnknownQuotedScalarEscape => (
            "a double-quoted text holds an unknown escape",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        E::ExpectedDocumentStart | E::DirectiveDisallowed => (
            "the document does not begin as YAML should",
            "directives such as `%YAML` are not read by kubectl",
        ),
        E::Custom(_) | E::InputIo { .. } | E::InputDecoding { .. } => ("the file cannot be read as YAML", ""),
        // The parser's own sentences name indicators and states, never content.
        other => return (other.to_string(), ""),
    };
    (sentence.into(), help)
}
