//! How the load reaches a server: over a unix socket, or over TCP with certificates on both sides.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The name under which the engine knows who enters orders.
pub const ORDERS: &str = "spiffe://bench/orders";
const SERVER: &str = "engine.bench";

/// Certificates of one run: the server's in files, the client's in memory.
pub struct Papers {
    folder: PathBuf,
    authority: String,
    client: (String, String),
}

impl Papers {
    /// Made anew below `folder`.
    pub fn make(folder: &Path) -> Result<Papers, String> {
        let issued = || -> Result<_, rcgen::Error> {
            let mut params = CertificateParams::new(vec![])?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate()?;
            let authority = params.self_signed(&key)?.pem();
            let issuer = Issuer::new(params, key);
            let issue = |names: &[&str]| -> Result<(String, String), rcgen::Error> {
                let mut params = CertificateParams::new(vec![SERVER.to_string()])?;
                for name in names {
                    params
                        .subject_alt_names
                        .push(SanType::URI((*name).try_into()?));
                }
                let key = KeyPair::generate()?;
                Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
            };
            Ok((authority, issue(&[])?, issue(&[ORDERS])?))
        };
        let (authority, server, client) = issued().map_err(|cause| cause.to_string())?;
        let folder = folder.to_path_buf();
        let papers = Papers {
            folder,
            authority,
            client,
        };
        let [certificate, key, ca] = papers.files();
        for (file, text) in [
            (certificate, &server.0),
            (key, &server.1),
            (ca, &papers.authority),
        ] {
            fs::write(file, text).map_err(|cause| cause.to_string())?;
        }
        Ok(papers)
    }

    /// The server's certificate, its key, and who signs clients' certificates.
    pub fn files(&self) -> [PathBuf; 3] {
        ["cert.pem", "key.pem", "ca.pem"].map(|name| self.folder.join(name))
    }

    /// Options of a server that listens with them on a port of the kernel's choice.
    pub fn options(&self) -> Vec<String> {
        let [certificate, key, ca] = self.files().map(|path| path.display().to_string());
        let listen = "127.0.0.1:0".to_string();
        [
            ("--tls-listen", listen),
            ("--tls-cert", certificate),
            ("--tls-key", key),
            ("--tls-client-ca", ca),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_string(), value])
        .collect()
    }
}

/// Where a server listens.
pub enum Address<'a> {
    Unix(PathBuf),
    Tls(u16, &'a Papers),
}

pub async fn connect(address: &Address<'_>) -> Result<Channel, String> {
    let failed = |cause: tonic::transport::Error| cause.to_string();
    let endpoint = match address {
        Address::Unix(path) => {
            Endpoint::try_from(format!("unix://{}", path.display())).map_err(failed)?
        }
        Address::Tls(port, papers) => {
            let (certificate, key) = &papers.client;
            let tls = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&papers.authority))
                .domain_name(SERVER)
                .identity(Identity::from_pem(certificate, key));
            Endpoint::try_from(format!("https://127.0.0.1:{port}"))
                .and_then(|endpoint| endpoint.tls_config(tls))
                .map_err(failed)?
        }
    };
    endpoint
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(failed)
}
