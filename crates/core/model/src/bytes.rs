//! How do bytes stand in JSON? As base64, the way Secrets hold them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Reads padded standard base64; `None` where it is not.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Writes padded standard base64.
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
