//! Who says no to what is written? An admission webhook on 127.0.0.1.

use std::fs;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lab::Lab;
use serde_json::{Value, json};

use crate::server;

/// A webhook that denies whatever it is asked about.
pub struct Webhook {
    address: SocketAddr,
    authority: String,
}

impl Webhook {
    /// Starts one that says why; it serves with the certificate of the lab's API server, and ends with the test.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn denying(lab: &Lab, why: &str) -> Self {
        let tls = server::tls(&lab.folder().join("server.crt"), &lab.folder().join("server.key"));
        let why = why.to_owned();
        let address = server::serve(Some(tls), move |request| {
            let review: Value = serde_json::from_slice(&request.body)?;
            let denial = json!({
                "apiVersion": review["apiVersion"], "kind": "AdmissionReview",
                "response": {"uid": review["request"]["uid"], "allowed": false, "status": {"message": why}},
            });
            Ok(server::with_body("200 OK", "application/json", denial.to_string().as_bytes()))
        });
        let authority = fs::read(lab.ca_file()).expect("the lab has written it");
        Self { address, authority: BASE64_STANDARD.encode(authority) }
    }

    /// Returns the `clientConfig` that leads to it.
    pub fn client_config(&self) -> Value {
        json!({"url": format!("https://{}/", self.address), "caBundle": self.authority})
    }
}
