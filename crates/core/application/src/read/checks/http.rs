//! Which request does a check send, and what has to come back?

use super::fields::Fields;
use super::namespace_of;
use crate::duration;
use crate::findings::Findings;
use model::{HttpProbe, Scheme, Seconds};
use serde_json::Value;

/// How soon an answer has to be there where nothing is said.
const WITHIN: Seconds = Seconds::new(1);
/// The longest that may be asked for: looks follow each other every few seconds.
const LONGEST_WITHIN: Seconds = Seconds::new(10);
/// Longest path, with its query.
const LONGEST_PATH: usize = 2_000;

const FIELDS: [&str; 7] = ["service", "namespace", "port", "path", "scheme", "status", "within"];

pub(super) fn read(fields: &Fields<'_>, namespace: &str, findings: &mut Findings) -> Option<HttpProbe> {
    fields.know(&FIELDS, findings);
    let namespace = namespace_of(fields, namespace, findings);
    let service = fields.label("service", "Service", findings);
    let (port, path) = (port(fields, findings), path(fields, findings));
    let (scheme, statuses) = (scheme(fields, findings), statuses(fields, findings));
    let within = within(fields, findings);
    Some(HttpProbe {
        namespace: namespace?,
        service: service?,
        port: port?,
        path: path?,
        scheme: scheme?,
        statuses: statuses?,
        within: within?,
    })
}

fn port(fields: &Fields<'_>, findings: &mut Findings) -> Option<String> {
    let is_name = |text: &str| super::super::is_label(text) && text.len() <= 15;
    let port = match fields.get("port") {
        None => {
            findings.problem(&fields.path("port"), "is missing");
            return None;
        }
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            fields.is_no("port", "a number or a name", other, findings);
            return None;
        }
    };
    let is_number = port.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_number && (!is_name(&port) || port.chars().all(|c| c.is_ascii_digit())) {
        let sentence = "is neither the number nor the name of a Service's port";
        findings.problem(&fields.path("port"), sentence);
        return None;
    }
    Some(port)
}

fn path(fields: &Fields<'_>, findings: &mut Findings) -> Option<String> {
    let path = match fields.get("path") {
        None => "/",
        Some(_) => fields.text("path", findings)?,
    };
    let is_plain = |c: char| c.is_ascii_graphic() && !"#\\\"<>^`{|}".contains(c);
    let sentence = if !path.starts_with('/') {
        "does not begin with /"
    } else if path.len() > LONGEST_PATH {
        "is longer than 2000 bytes"
    } else if !path.chars().all(is_plain) {
        "holds what a path has to write as %20 and the like"
    } else if leads_elsewhere(path) {
        "leads out of the Service: `..` and `.` are not allowed"
    } else {
        return Some(path.to_owned());
    };
    findings.problem(&fields.path("path"), sentence);
    None
}

/// The API server knows by the path whom a request is for.
fn leads_elsewhere(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.contains("%2f") || path.contains("%5c") || path.split('/').any(|part| part == "." || part == "..")
}

fn scheme(fields: &Fields<'_>, findings: &mut Findings) -> Option<Scheme> {
    match fields.get("scheme") {
        None => Some(Scheme::Http),
        Some(value) if value == "http" => Some(Scheme::Http),
        Some(value) if value == "https" => Some(Scheme::Https),
        Some(_) => {
            findings.problem(&fields.path("scheme"), "must be one of http, https");
            None
        }
    }
}

fn statuses(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<u16>> {
    let list = match fields.get("status") {
        None => return Some(vec![200]),
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let code = |value: &Value| {
        let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
        code.filter(|code| (200..600).contains(code))
    };
    let codes: Option<Vec<u16>> = list.iter().map(code).collect();
    let codes = codes.filter(|codes| !codes.is_empty());
    if codes.is_none() {
        findings.problem(&fields.path("status"), "must be a number from 200 to 599, or a list of such");
    }
    codes
}

fn within(fields: &Fields<'_>, findings: &mut Findings) -> Option<Seconds> {
    if fields.get("within").is_none() {
        return Some(WITHIN);
    }
    let (text, path) = (fields.text("within", findings)?, fields.path("within"));
    let sentence = match duration::parse(text) {
        None => {
            findings.problem_with_help(&path, "is not a length of time", "write it as 500ms or 2s");
            return None;
        }
        Some(Seconds::ZERO) => "is no time at all".to_owned(),
        Some(within) if within > LONGEST_WITHIN => format!("is longer than {LONGEST_WITHIN}"),
        Some(within) => return Some(within),
    };
    findings.problem(&path, sentence);
    None
}
