//! How are the objects of a release kept? As a List that `kubectl apply` takes, in gzip.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};
use std::fmt;
use std::io::{Read as _, Write as _};

/// Longest text of a payload, in bytes before it is compressed: what is read back has to fit into memory.
pub const LARGEST: usize = 64 << 20;

/// What stands before, between and behind the objects.
const BEGIN: &[u8] = b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n";
const BETWEEN: &[u8] = b",\n";
const END: &[u8] = b"\n]}\n";

/// The desired objects of a release, compressed. They may be Secrets, so that it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

/// A payload is longer than [`LARGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its objects take more than {} MiB as JSON", LARGEST >> 20)
    }
}

impl std::error::Error for TooLarge {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Payload {
    /// Compresses objects, in the order given: one per line, so that a person finds them. Our own tracking metadata is left
    /// out by the caller.
    ///
    /// # Errors
    /// When they are longer than [`LARGEST`].
    pub fn pack<'a>(objects: impl IntoIterator<Item = &'a Map<String, Value>>) -> Result<Self, TooLarge> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut length = 0;
        let mut put = |bytes: &[u8]| {
            length += bytes.len();
            // Writing to a Vec does not fail; what is too long does.
            if length > LARGEST { Err(TooLarge) } else { encoder.write_all(bytes).map_err(|_| TooLarge) }
        };
        put(BEGIN)?;
        for (n, object) in objects.into_iter().enumerate() {
            if n > 0 {
                put(BETWEEN)?;
            }
            put(&serde_json::to_vec(object).map_err(|_| TooLarge)?)?;
        }
        put(END)?;
        encoder.finish().map(Self).map_err(|_| TooLarge)
    }

    /// Takes what [`Payload::bytes`] gave.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the compressed text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the objects back; however small the compressed text is, no more than [`LARGEST`] bytes come of it.
    pub(crate) fn unpack(&self) -> Result<Vec<Value>, &'static str> {
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        let mut text = Vec::new();
        GzDecoder::new(self.0.as_slice())
            .take(most + 1)
            .read_to_end(&mut text)
            .map_err(|_| "its payload is no gzip")?;
        if text.len() > LARGEST {
            return Err("its payload unfolds to more than 64 MiB");
        }
        let mut list: Value = serde_json::from_slice(&text).map_err(|_| "its payload is no JSON")?;
        match list["items"].take() {
            Value::Array(items) if items.iter().all(Value::is_object) => Ok(items),
            _ => Err("its payload is no list of objects"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects(n: usize) -> Vec<Value> {
        (0..n)
            .map(|i| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{i}")}}))
            .collect()
    }

    fn pack(objects: &[Value]) -> Payload {
        Payload::pack(objects.iter().map(|object| object.as_object().unwrap())).unwrap()
    }

    #[test]
    fn objects_come_back_as_they_were_and_in_their_order() {
        for n in [0, 1, 2, 500] {
            let packed = pack(&objects(n));
            assert_eq!(packed.unpack().unwrap(), objects(n));
            assert_eq!(packed, pack(&objects(n)), "equal objects, equal bytes");
        }
    }

    #[test]
    fn the_text_is_a_list_with_one_object_a_line() {
        let mut text = String::new();
        GzDecoder::new(pack(&objects(2)).bytes()).read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 4);
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list["kind"], "List");
        assert_eq!(list["items"], json!(objects(2)));
    }

    #[test]
    fn a_bomb_unfolds_to_no_more_than_it_may() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..80 {
            encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 1 << 20, "it would fit into a Secret");
        assert_eq!(Payload::from_bytes(bomb).unpack(), Err("its payload unfolds to more than 64 MiB"));
    }

    #[test]
    fn what_is_no_payload_is_told_without_its_text() {
        let gzip = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            Payload::from_bytes(encoder.finish().unwrap())
        };
        let cut = Payload::from_bytes(pack(&objects(9)).bytes()[..40].to_vec());
        for (payload, expected) in [
            (Payload::from_bytes(b"hunter2".to_vec()), "its payload is no gzip"),
            (cut, "its payload is no gzip"),
            (gzip("hunter2"), "its payload is no JSON"),
            (gzip("{}"), "its payload is no list of objects"),
            (gzip(r#"{"items":["hunter2"]}"#), "its payload is no list of objects"),
        ] {
            assert_eq!(payload.unpack(), Err(expected));
        }
        assert_eq!(format!("{:?}", gzip("x")), format!("Payload({} bytes)", gzip("x").bytes().len()));
    }

    #[test]
    fn what_is_too_large_is_not_packed() {
        let large = json!({"data": "x".repeat(LARGEST)});
        assert_eq!(Payload::pack([large.as_object().unwrap()]), Err(TooLarge));
    }
}
