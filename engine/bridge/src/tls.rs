//! What a client shows over TCP, and whom it believes.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};

/// The contents of the three files, and the host that was asked for.
#[derive(Debug)]
pub struct Papers<'a> {
    pub host: &'a str,
    pub authority: &'a [u8],
    pub certificate: &'a [u8],
    pub key: &'a [u8],
}

/// TLS 1.3 with both certificates, HTTP/2 in it. Only the engine's own authority is believed, and its certificate must
/// be for the host.
pub fn connection(papers: &Papers) -> Result<ClientConnection, String> {
    let wrong = |what: &str, why: &dyn std::fmt::Display| format!("the {what} cannot be used: {why}");
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_slice_iter(papers.authority) {
        let one = one.map_err(|why| wrong("authority's certificate", &why))?;
        roots.add(one).map_err(|why| wrong("authority's certificate", &why))?;
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(papers.certificate)
        .collect::<Result<_, _>>()
        .map_err(|why| wrong("certificate", &why))?;
    let key = PrivateKeyDer::from_pem_slice(papers.key).map_err(|why| wrong("key", &why))?;
    let host = ServerName::try_from(papers.host.to_owned()).map_err(|why| wrong("host", &why))?;
    let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|why| wrong("protocol", &why))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|why| wrong("certificate", &why))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    let mut made = ClientConnection::new(Arc::new(config), host).map_err(|why| wrong("host", &why))?;
    made.set_buffer_limit(None);
    Ok(made)
}
