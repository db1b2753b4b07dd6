//! Which keys and certificates does a lab need?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Writes `ca.crt`, `ca.key`, `server.crt`, `server.key` and the pair `service-account.{key,pub}` into `folder` and
/// returns the authority's certificate (DER).
pub(crate) fn write(folder: &Path) -> Result<Vec<u8>> {
    let authority_key = KeyPair::generate().context("make a key for the certificate authority")?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "lab certificate authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = authority.self_signed(&authority_key).context("sign the certificate authority")?;

    // The names that a kubeadm cluster's API server answers to, so that clients in it could use them.
    let names =
        ["127.0.0.1", "10.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut server = CertificateParams::new(names.map(String::from)).context("name the API server")?;
    server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().context("make a key for the API server")?;
    let issuer = Issuer::from_params(&authority, &authority_key);
    let server = server.signed_by(&server_key, &issuer).context("sign the API server's certificate")?;

    let service_account_key = KeyPair::generate().context("make a key for service account tokens")?;
    for (name, text) in [
        ("ca.crt", certificate.pem()),
        ("ca.key", authority_key.serialize_pem()),
        ("server.crt", server.pem()),
        ("server.key", server_key.serialize_pem()),
        ("service-account.key", service_account_key.serialize_pem()),
        ("service-account.pub", service_account_key.public_key_pem()),
    ] {
        fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(certificate.der().to_vec())
}
